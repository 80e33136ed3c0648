import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { titleOf, type Twin } from '../../deploy/local/programs/twins.ts';
import type { RunningApp } from '../../deploy/local/system/app-processes.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { describeMachine } from '../support/machine.ts';
import { commandsOf } from '../support/twins.ts';
import { createBenchmarkShop, environmentOf, spreadProduct, type BenchmarkShop } from './benchmark-shop.ts';
import { median, type Pace } from './closed-loop.ts';
import { createCostMeter } from './cost.ts';
import { memoryMbOf, usage } from './processes.ts';
import { markdownTable } from './report.ts';
import { createSteps } from './steps.ts';

/** V8 compiles the code of an order for minutes. */
const FULL_RUN = { warmUpSeconds: 120, seconds: 15, starts: 5 };
const QUICK_RUN = { warmUpSeconds: 8, seconds: 4, starts: 3 };
const START_POLL_MS = 5;
const START_TIMEOUT_MS = 60_000;
const COLUMNS = ['implementation', 'memory at rest', 'start', 'processor time per order'];

/**
 * Measures services of this repository and then their twins, in one system and with the same load. Prints the table of
 * tests/polyglot/README.md.
 */
export async function benchTwins(options: {
  twins: readonly Twin[];
  quick: boolean;
  portOffset: number;
  signal: AbortSignal;
}): Promise<void> {
  const { twins, quick, portOffset, signal } = options;
  const { warmUpSeconds, seconds, starts } = quick ? QUICK_RUN : FULL_RUN;
  const { run, onFailure, failures } = createSteps<string>(signal);
  const dataDir = mkdtempSync(join(ensureFolder(root, '.sidecart/bench'), 'data-'));
  /** Each start of a service reads its command. */
  const commands: Record<string, readonly string[]> = {};
  let system: RunningSystem | undefined;
  let shop: BenchmarkShop | undefined;
  try {
    console.log(`Starting a system at port ${8080 + portOffset} ...`);
    const replacements = await commandsOf(twins);
    system = await startSystem({ dataDir, portOffset, env: environmentOf(dataDir, {}), commands });
    shop = await createBenchmarkShop(system, createCostMeter(portOffset));
    const originals = await measure(system, shop, ({ service }) => `${service} in TypeScript`);
    Object.assign(commands, replacements);
    const replaced = await measure(system, shop, titleOf);
    const rows = originals.flatMap((row, index) => [row, replaced[index] ?? []]);
    console.log(`\n${describeMachine()}${quick ? ', quick' : ''}. Failed requests: ${failures()}.\n`);
    console.log(markdownTable([COLUMNS, ...rows]));
  } finally {
    console.log('Stopping ...');
    await shop?.close();
    await system?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }

  /** Starts the services with their `commands`. @returns a row of the table for each */
  async function measure(
    { app }: RunningSystem,
    { placeOrders }: BenchmarkShop,
    titleOfRow: (twin: Twin) => string,
  ): Promise<string[][]> {
    const startsMs: number[] = [];
    for (const { service } of twins) {
      const samples: number[] = [];
      while (samples.length < starts) samples.push(await restart(app(service), signal));
      startsMs.push(median(samples));
    }
    const atRest = usage();
    const names = twins.map(titleOfRow);
    const orders = (title: string, pace: Pace) =>
      run(
        `${title}, with ${names.join(' and ')}`,
        () => placeOrders(pace, spreadProduct),
        ({ completedPerSecond }) => completedPerSecond,
      );
    // A service that has just started may reject orders.
    await orders('warm-up', { seconds: warmUpSeconds, signal, onFailure: () => {} });
    const { cost } = await orders('orders per second', { seconds, signal, onFailure });
    return twins.map(({ service }, index) => [
      names[index] ?? '',
      `${memoryMbOf(atRest, service).toFixed(0)} MB`,
      `${((startsMs[index] ?? 0) / 1000).toFixed(2)} s`,
      `${cost.cpuMs[service]?.toFixed(1)} ms`,
    ]);
  }
}

/** @returns the milliseconds from the start until `/healthz` answers */
async function restart({ appPort, service }: RunningApp, signal: AbortSignal): Promise<number> {
  await service.stop();
  const started = performance.now();
  const firstAnswer = async () => {
    for (;;) {
      signal.throwIfAborted();
      const response = await fetch(`http://127.0.0.1:${appPort}/healthz`).catch(() => undefined);
      const ms = performance.now() - started;
      if (response?.ok) return ms;
      if (ms > START_TIMEOUT_MS) throw new Error(`nothing answers at port ${appPort}`);
      await delay(START_POLL_MS);
    }
  };
  const [ms] = await Promise.all([firstAnswer(), service.start()]);
  return ms;
}
