import { createClient as createRedisClient } from '@redis/client';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { portsAt } from '../../deploy/local/configuration/ports.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { startSystem, type RunningSystem, type SystemOptions } from '../../deploy/local/system/system.ts';
import { describeMachine } from '../support/machine.ts';
import {
  createBenchmarkShop,
  environmentOf,
  spreadProduct,
  type BenchmarkShop,
  type OrdersRun,
} from './benchmark-shop.ts';
import { mean, type Pace } from './closed-loop.ts';
import { createCostMeter, isOfSystem, meanCost, totalCpuMs, type OrderCost } from './cost.ts';
import { usage } from './processes.ts';
import { createFigure, createRatio, figureTable, markdownTable } from './report.ts';
import { createSteps } from './steps.ts';

/** A system with all of observability, and one without. */
const SYSTEMS = {
  observed: {
    env: {
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.1',
      LOG_LEVEL: 'info',
      LOG_SAMPLE_RATIO: '0.1',
    },
    options: { observability: true },
  },
  bare: { env: { LOG_LEVEL: 'error' }, options: { untraced: true } },
} as const;

/** The settings that turn it off in a running system. Prometheus pauses as well. */
const OFF = { OTEL_TRACES_SAMPLER_ARG: '0', LOG_LEVEL: 'error' };
type Turn = 'on' | 'off';
/** A machine that becomes slower, or code that becomes faster, favours neither. */
const TURNS: readonly Turn[] = ['on', 'off', 'off', 'on'];

/** V8 needs minutes of load until it has compiled all code. */
const FULL_RUN = { warmUpSeconds: 90, seconds: 8, repetitions: 4 };
const QUICK_RUN = { warmUpSeconds: 20, seconds: 5, repetitions: 1 };
/** A changed setting is effective within five seconds. These do not count. */
const SWITCH_SECONDS = 6;

const BOUNDS = {
  completed: { must: 0.92 },
  memory: { must: 8, isMaximum: true },
};

/**
 * Measures what observability costs. One system takes orders with everything on and off in turns, because two equal systems differ
 * by up to 9 %. Memory is compared with a second system, after the same load.
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
  const { run, samples, onFailure, failures } = createSteps<
    `${keyof typeof SYSTEMS}: warm-up` | `everything ${Turn}` | 'switch'
  >(signal);
  const pace: Pace = { seconds, signal, onFailure };
  const costs: Record<Turn, OrderCost[]> = { on: [], off: [] };
  try {
    const bareMb = await inSystem('bare', () => Promise.resolve());
    const observedMb = await inSystem('observed', takeTurns);
    report(
      Object.fromEntries(Object.entries(observedMb).map(([name, mb]) => [name, mb - (bareMb[name] ?? 0)])),
    );
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }

  /** Starts a system, warms it up, and runs `measure`. @returns the memory of the services after the warm-up, in MB */
  async function inSystem(
    kind: keyof typeof SYSTEMS,
    measure: (shop: BenchmarkShop) => Promise<void>,
  ): Promise<Record<string, number>> {
    console.log(`Starting the ${kind} system at port ${8080 + portOffset} ...`);
    const system = await start(kind);
    try {
      const shop = await createBenchmarkShop(system, createCostMeter(portOffset));
      await placeOrders(shop, `${kind}: warm-up`, { ...pace, seconds: warmUpSeconds, onFailure: () => {} });
      const memory = memoryOf(system);
      await measure(shop);
      await shop.close();
      return memory;
    } finally {
      console.log('Stopping ...');
      await system.stop();
    }
  }

  async function start(kind: keyof typeof SYSTEMS): Promise<RunningSystem> {
    const { env: variables, options: more } = SYSTEMS[kind];
    const ownDir = ensureFolder(dataDir, kind);
    const env = environmentOf(ownDir, Object.fromEntries(APPS.map((app) => [app, variables])));
    return startSystem({ dataDir: ownDir, portOffset, env, ...more } satisfies SystemOptions);
  }

  function placeOrders(shop: BenchmarkShop, name: Parameters<typeof run>[0], at: Pace): Promise<OrdersRun> {
    const completed = ({ completedPerSecond }: OrdersRun) => completedPerSecond;
    return run(name, () => shop.placeOrders(at, spreadProduct), completed);
  }

  async function takeTurns(shop: BenchmarkShop): Promise<void> {
    const settings = createRedisClient({
      socket: { host: '127.0.0.1', port: portsAt(portOffset).redis },
      database: 1,
    });
    await settings.connect();
    try {
      for (let count = 0; count < repetitions; count++)
        for (const turn of TURNS) {
          for (const app of APPS)
            for (const [name, value] of Object.entries(OFF))
              await (turn === 'on' ? settings.del(`${app}/${name}`) : settings.set(`${app}/${name}`, value));
          signalPrometheus(turn === 'on' ? 'SIGCONT' : 'SIGSTOP');
          await placeOrders(shop, 'switch', { ...pace, seconds: SWITCH_SECONDS });
          costs[turn].push((await placeOrders(shop, `everything ${turn}`, pace)).cost);
        }
    } finally {
      signalPrometheus('SIGCONT');
      settings.destroy();
    }
  }

  function report(growth: Readonly<Record<string, number>>): void {
    const cpuMs = { on: meanCost(costs.on).cpuMs, off: meanCost(costs.off).cpuMs };
    const completed = (turn: Turn) => mean(samples[`everything ${turn}`] ?? []);
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

const APPS = readTemplate().apps.map(({ appID }) => appID);

function signalPrometheus(signal: 'SIGSTOP' | 'SIGCONT'): void {
  for (const { name, pid } of usage()) if (name === 'prometheus') process.kill(pid, signal);
}

/** The memory of each service, in MB. */
function memoryOf(system: RunningSystem): Record<string, number> {
  const byPid = new Map(usage().map(({ pid, memoryMb }) => [pid, memoryMb]));
  return Object.fromEntries(
    system.names.map((name) => [name, byPid.get(system.app(name).service.pid()) ?? 0]),
  );
}
