import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { startSystem, type RunningSystem, type SystemOptions } from '../../deploy/local/system/system.ts';
import { describeMachine } from '../support/machine.ts';
import { createBenchmarkShop, environmentOf, spreadProduct, type BenchmarkShop } from './benchmark-shop.ts';
import { mean, median, type Pace } from './closed-loop.ts';
import { createCostMeter, isOfSystem, meanCost, totalCpuMs, type OrderCost } from './cost.ts';
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

/**
 * The system that starts first, and the order of its turns. A machine that becomes slower favours neither, and of two equal systems
 * the first one is some percent slower.
 */
const ROUNDS: readonly { starts: readonly [Mode, Mode]; turns: readonly Mode[] }[] = [
  { starts: ['on', 'off'], turns: ['on', 'off', 'off', 'on'] },
  { starts: ['off', 'on'], turns: ['off', 'on', 'on', 'off'] },
];
const FULL_RUN = { warmUpSeconds: 25, seconds: 8, repetitions: 2 };
const QUICK_RUN = { warmUpSeconds: 12, seconds: 5, repetitions: 1 };

/** A system that has rested is slow at first, and pays for the last e-mails of the other one. */
const SWITCH_SECONDS = 3;

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
  const { run, samples, onFailure, failures } =
    createSteps<`${Mode}: ${'warm-up' | 'completed orders'}`>(signal);
  const pace: Pace = { seconds, signal, onFailure };
  const costs: Record<Mode, OrderCost[]> = { on: [], off: [] };
  const growths: Record<string, number>[] = [];
  for (const round of ROUNDS) await measureRound(round);
  report();

  async function measureRound({ starts, turns }: (typeof ROUNDS)[number]): Promise<void> {
    const dataDir = mkdtempSync(join(results, 'data-'));
    const sides = new Map<Mode, Side>();
    try {
      for (const [position, mode] of starts.entries())
        sides.set(mode, await startSide(mode, dataDir, portOffset + position * PORT_DISTANCE));
      const sideOf = (mode: Mode) => sides.get(mode) as Side;
      const orders = (mode: Mode, name: 'warm-up' | 'completed orders', at: Pace) =>
        run(
          `${mode}: ${name}`,
          () => sideOf(mode).shop.placeOrders(at, spreadProduct),
          ({ completedPerSecond }) => completedPerSecond,
        );
      for (const mode of starts)
        await orders(mode, 'warm-up', { ...pace, seconds: warmUpSeconds, onFailure: () => {} });
      for (let count = 0; count < repetitions; count++)
        for (const mode of turns) {
          signalPrometheus(mode === 'on' ? 'SIGCONT' : 'SIGSTOP');
          await orders(mode, 'warm-up', { ...pace, seconds: SWITCH_SECONDS });
          const { cost } = await orders(mode, 'completed orders', pace);
          costs[mode].push(cost);
          growths.push(memoryGrowth(sideOf('on').system, sideOf('off').system));
        }
    } finally {
      console.log('Stopping ...');
      signalPrometheus('SIGCONT');
      for (const side of sides.values()) await side.stop();
      rmSync(dataDir, { recursive: true, force: true });
    }
  }

  function report(): void {
    const cpuMs = { on: meanCost(costs.on).cpuMs, off: meanCost(costs.off).cpuMs };
    const completed = (mode: Mode) => mean(samples[`${mode}: completed orders`] ?? []);
    // The heap of a process grows and shrinks, so one moment says little.
    const growth = Object.fromEntries(
      Object.keys(growths[0] ?? {}).map((name) => [name, median(growths.map((one) => one[name] ?? 0))]),
    );
    const figures = [
      createFigure('completed orders, everything off', completed('off'), '/s'),
      createRatio('completed orders, everything on', completed('on'), {
        unit: '/s',
        reference: completed('off'),
        bounds: BOUNDS.completed,
      }),
      createFigure('processor time per order, everything off', totalCpuMs(cpuMs.off, isOfSystem), 'ms'),
      createFigure('processor time per order, everything on', totalCpuMs(cpuMs.on, isOfSystem), 'ms'),
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
    const rows = Object.entries(cpuMs.on)
      .filter(([name]) => isOfSystem(name))
      .map(([name, ms]) => {
        const [more, mb] = [ms - (cpuMs.off[name] ?? 0), growth[name]];
        return [name, ms.toFixed(2), more.toFixed(2), mb === undefined ? '' : mb.toFixed(1)];
      });
    const head = [
      'process',
      'processor time per order, ms',
      'of it for observability, ms',
      'more memory, MB',
    ];
    const table = markdownTable([head, ...rows]);
    console.log(`\n${[describeMachine(), figureTable(figures), table, file].join('\n\n')}`);
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

/** Its scrapes of the one system would slow down the other. */
function signalPrometheus(signal: 'SIGSTOP' | 'SIGCONT'): void {
  for (const { name, pid } of usage()) if (name === 'prometheus') process.kill(pid, signal);
}

/** By service, how much more memory it takes with everything on, in MB. */
function memoryGrowth(on: RunningSystem, off: RunningSystem): Record<string, number> {
  const byPid = new Map(usage().map(({ pid, memoryMb }) => [pid, memoryMb]));
  const memoryOf = (system: RunningSystem, name: string) => byPid.get(system.app(name).service.pid()) ?? 0;
  return Object.fromEntries(on.names.map((name) => [name, memoryOf(on, name) - memoryOf(off, name)]));
}
