import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { describeMachine } from '../support/machine.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { startBaselines, type Baselines } from './baselines.ts';
import { figuresOf } from './figures.ts';
import { measure, type Measurements } from './measures.ts';
import { usage } from './processes.ts';
import { table } from './report.ts';
import { createCatalogue, createBenchmarkShop, type BenchmarkShop } from './benchmark-shop.ts';

export interface BenchOptions {
  /** A shorter run with fewer stored orders, for use during development. */
  quick: boolean;
  portOffset: number;
  /** Aborting it stops everything. */
  signal: AbortSignal;
}

/** Measures a system against the baselines, prints the figures and stops everything. */
export async function bench({ quick, portOffset, signal }: BenchOptions): Promise<void> {
  const results = ensureFolder(root, '.sidecart/bench');
  const dataDir = mkdtempSync(join(results, 'data-'));
  let system: RunningSystem | undefined;
  let shop: BenchmarkShop | undefined;
  let baselines: Baselines | undefined;
  try {
    console.log(`Starting a system at port ${8080 + portOffset} and the baselines ...`);
    const seedFile = join(dataDir, 'catalogue.json');
    writeFileSync(seedFile, JSON.stringify(createCatalogue()));
    const env = { gateway: NO_RATE_LIMITS, inventory: { SEED_FILE: seedFile } };
    system = await startSystem({ dataDir, portOffset, env });
    signal.throwIfAborted();
    shop = await createBenchmarkShop(system);
    baselines = await startBaselines({ dataDir, portOffset });
    const measurements = await measure({ system, shop, baselines, quick, signal });
    const figures = figuresOf(measurements, usage());
    const file = join(results, `${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`);
    writeFileSync(file, JSON.stringify({ quick, figures, measurements }, undefined, 2));
    console.log(
      `\n${describeMachine()}${quick ? ', quick' : ''}\n\n${table(figures)}\n\n${cpuTable(measurements)}\n\n${file}`,
    );
  } finally {
    console.log('Stopping ...');
    await baselines?.stop();
    await shop?.close();
    await system?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** A table of the processor time of an order, by process. */
function cpuTable({ cpuMsPerOrder }: Measurements): string {
  const processes = Object.entries(cpuMsPerOrder)
    .filter(([, ms]) => ms >= 0.05)
    .toSorted(([, a], [, b]) => b - a);
  const total = processes.reduce((sum, [, ms]) => sum + ms, 0);
  const lines = processes.map(([name, ms]) => `  ${name.padEnd(24)} ${ms.toFixed(2).padStart(6)}`);
  return [`Processor time per order, from request to delivery: ${total.toFixed(1)} ms`, ...lines].join('\n');
}
