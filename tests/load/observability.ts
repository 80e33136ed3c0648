import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { startSystem, type RunningSystem, type SystemOptions } from '../../deploy/local/system/system.ts';
import { describeMachine } from '../support/machine.ts';
import { createBenchmarkShop, environmentOf, spreadProduct, type BenchmarkShop } from './benchmark-shop.ts';
import { mean, median, type Pace } from './closed-loop.ts';
import { createCostMeter, isOfSystem, totalCpuMs } from './cost.ts';
import { usage } from './processes.ts';
import { createFigure, createRatio, figureTable, markdownTable } from './report.ts';
import { createSteps } from './steps.ts';

/** The difference of the two systems' ports. */
const PORT_DISTANCE = 1_000;

/** What one system does, and the other does not. */
const MODES = {
  on: {
    env: {
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.1',
      LOG_LEVEL: 'info',
    },
    options: { observability: true },
  },
  off: { env: { LOG_LEVEL: 'error' }, options: { untraced: true } },
} as const;
type Mode = keyof typeof MODES;

/** Each pair of modes in this order, so that a machine that becomes slower favours neither. */
const ORDER: readonly Mode[] = ['on', 'off', 'off', 'on'];
const FULL_RUN = { warmUpSeconds: 25, seconds: 8, repetitions: 3 };
const QUICK_RUN = { warmUpSeconds: 12, seconds: 5, repetitions: 1 };

const BOUNDS = {
  completed: { must: 0.92 },
  memory: { must: 8, isMaximum: true },
};

/**
 * Measures what observability costs: a system with traces, metrics and logs beside one without, which take orders in turns.
 */
export async function benchObservability(options: {
  quick: boolean;
  portOffset: number;
  signal: AbortSignal;
}): Promise<void> {
  const { quick, portOffset, signal } = options;
  const { warmUpSeconds, seconds, repetitions } = quick ? QUICK_RUN : FULL_RUN;
  const results = ensureFolder(root, '.sidecart/bench');
  const dataDir = mkdtempSync(join(results, 'data-'));
  const sides: Partial<Record<Mode, Side>> = {};
  try {
    const on = (sides.on = await startSide('on', dataDir, portOffset));
    signal.throwIfAborted();
    const off = (sides.off = await startSide('off', dataDir, portOffset + PORT_DISTANCE));
    const { run, samples, onFailure, failures } =
      createSteps<`${Mode}: ${'warm-up' | 'completed orders'}`>(signal);
    const pace: Pace = { seconds, signal, onFailure };
    const cpuMs: Record<Mode, number[]> = { on: [], off: [] };
    const orders = (mode: Mode, name: 'warm-up' | 'completed orders', at: Pace) =>
      run(
        `${mode}: ${name}`,
        () => (mode === 'on' ? on : off).shop.placeOrders(at, spreadProduct),
        ({ completedPerSecond }) => completedPerSecond,
      );
    for (const mode of ['on', 'off'] as const)
      await orders(mode, 'warm-up', { ...pace, seconds: warmUpSeconds, onFailure: () => {} });
    const growths: Record<string, number>[] = [];
    for (let count = 0; count < repetitions; count++)
      for (const mode of ORDER) {
        const { cost } = await orders(mode, 'completed orders', pace);
        cpuMs[mode].push(totalCpuMs(cost.cpuMs, isOfSystem));
        growths.push(memoryGrowth(on.system, off.system));
      }

    const completed = (mode: Mode) => median(samples[`${mode}: completed orders`] ?? []);
    // The heap of a process grows and shrinks, so one moment says little.
    const growth = Object.fromEntries(
      on.system.names.map((name) => [name, median(growths.map((one) => one[name] ?? 0))]),
    );
    const figures = [
      createFigure('completed orders, everything off', completed('off'), '/s'),
      createRatio('completed orders, everything on', completed('on'), {
        unit: '/s',
        reference: completed('off'),
        bounds: BOUNDS.completed,
      }),
      createFigure('processor time per order, everything off', mean(cpuMs.off), 'ms'),
      createFigure('processor time per order, everything on', mean(cpuMs.on), 'ms'),
      createFigure(
        'memory of a service, the largest growth',
        Math.max(...Object.values(growth)),
        'MB',
        BOUNDS.memory,
      ),
      createFigure('failed requests', failures(), ''),
    ];
    const file = join(results, `${new Date().toISOString().replaceAll(/[:.]/g, '-')}-observability.json`);
    writeFileSync(file, JSON.stringify({ quick, figures, samples, cpuMs, growth }, undefined, 2));
    const rows = Object.entries(growth).map(([service, mb]) => [service, mb.toFixed(1)]);
    const table = markdownTable([['service', 'more memory, MB'], ...rows]);
    console.log(`\n${[describeMachine(), figureTable(figures), table, file].join('\n\n')}`);
  } finally {
    console.log('Stopping ...');
    for (const side of Object.values(sides)) await side.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

interface Side {
  system: RunningSystem;
  shop: BenchmarkShop;
  stop: () => Promise<void>;
}

async function startSide(mode: Mode, parent: string, portOffset: number): Promise<Side> {
  console.log(`Starting a system with everything ${mode} at port ${8080 + portOffset} ...`);
  const dataDir = ensureFolder(parent, mode);
  const { env: variables, options } = MODES[mode];
  const services = readTemplate().apps.map(({ appID }) => [appID, variables] as const);
  const env = environmentOf(dataDir, Object.fromEntries(services));
  const started: SystemOptions = { dataDir, portOffset, env, ...options };
  const system = await startSystem(started);
  try {
    const shop = await createBenchmarkShop(system, createCostMeter(portOffset));
    return { system, shop, stop: () => shop.close().then(system.stop) };
  } catch (error) {
    await system.stop();
    throw error;
  }
}

/** By service, how much more memory it takes with everything on, in MB. */
function memoryGrowth(on: RunningSystem, off: RunningSystem): Record<string, number> {
  const byPid = new Map(usage().map(({ pid, memoryMb }) => [pid, memoryMb]));
  const memoryOf = (system: RunningSystem, name: string) => byPid.get(system.app(name).service.pid()) ?? 0;
  return Object.fromEntries(on.names.map((name) => [name, memoryOf(on, name) - memoryOf(off, name)]));
}
