import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { describeMachine } from '../support/machine.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { startBaselines, type Baselines } from './baselines.ts';
import { figuresOf } from './figures.ts';
import { measure, type Measured } from './measures.ts';
import { usage } from './processes.ts';
import { table } from './report.ts';
import { catalogue, openShop, type ShopFloor } from './shop-floor.ts';

export interface BenchOptions {
  /** Shorter, and with fewer orders stored: for a look while working, not for the record. */
  quick: boolean;
  portOffset: number;
  /** Aborted: everything that was started is ended. */
  signal: AbortSignal;
}

/** Measures a whole system against its bare parts, prints the figures, and ends all that it started. */
export async function bench({ quick, portOffset, signal }: BenchOptions): Promise<void> {
  const results = ensureFolder(root, '.sidecart/bench');
  const dataDir = mkdtempSync(join(results, 'data-'));
  let system: RunningSystem | undefined;
  let shop: ShopFloor | undefined;
  let baselines: Baselines | undefined;
  try {
    console.log(`Starting a system at port ${8080 + portOffset} and the baselines ...`);
    const seedFile = join(dataDir, 'catalogue.json');
    writeFileSync(seedFile, JSON.stringify(catalogue()));
    const env = { gateway: NO_RATE_LIMITS, inventory: { SEED_FILE: seedFile } };
    system = await startSystem({ dataDir, portOffset, env });
    signal.throwIfAborted();
    shop = await openShop(system);
    baselines = await startBaselines({ dataDir, portOffset });
    const measured = await measure({ system, shop, baselines, quick, signal });
    const figures = figuresOf(measured, usage());
    const file = join(results, `${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`);
    writeFileSync(file, JSON.stringify({ quick, figures, measured }, undefined, 2));
    console.log(
      `\n${describeMachine()}${quick ? ', quick' : ''}\n\n${table(figures)}\n\n${costs(measured)}\n\n${file}`,
    );
  } finally {
    console.log('Stopping ...');
    await baselines?.stop();
    await shop?.close();
    await system?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** Where the processor time of an order went. */
function costs({ cpuMsPerOrder }: Measured): string {
  const processes = Object.entries(cpuMsPerOrder)
    .filter(([, ms]) => ms >= 0.05)
    .toSorted(([, a], [, b]) => b - a);
  const total = processes.reduce((sum, [, ms]) => sum + ms, 0);
  const lines = processes.map(([name, ms]) => `  ${name.padEnd(24)} ${ms.toFixed(2).padStart(6)}`);
  return [`Processor time of an order, from request to delivery: ${total.toFixed(1)} ms`, ...lines].join(
    '\n',
  );
}
