import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { describeMachine } from '../support/machine.ts';
import { startBaselines, type Baselines } from './baselines.ts';
import { createBenchmarkShop, environmentOf, type BenchmarkShop } from './benchmark-shop.ts';
import { createCostMeter } from './cost.ts';
import { costTable, describeLimit } from './cost-report.ts';
import { figuresOf } from './figures.ts';
import { measure } from './measures.ts';
import { usage } from './processes.ts';
import { profiledBy } from './profiles.ts';
import { figureTable } from './report.ts';

export interface BenchOptions {
  /** A shorter run without event streams and a million orders, for use during development. */
  quick: boolean;
  /** Whether CPU profiles of the services are kept. */
  profile: boolean;
  portOffset: number;
  /** Aborting it stops everything. */
  signal: AbortSignal;
}

/** Measures a system against the baselines, prints the figures and stops everything. */
export async function bench({ quick, profile, portOffset, signal }: BenchOptions): Promise<void> {
  const results = ensureFolder(root, '.sidecart/bench');
  const name = new Date().toISOString().replaceAll(/[:.]/g, '-');
  const dataDir = mkdtempSync(join(results, 'data-'));
  let system: RunningSystem | undefined;
  let shop: BenchmarkShop | undefined;
  let baselines: Baselines | undefined;
  try {
    console.log(`Starting a system at port ${8080 + portOffset} and the baselines ...`);
    const profiles = profile ? ensureFolder(results, `${name}-profiles`) : undefined;
    const env = environmentOf(dataDir, profiles ? profiledBy(profiles) : {});
    system = await startSystem({ dataDir, portOffset, env });
    signal.throwIfAborted();
    shop = await createBenchmarkShop(system, createCostMeter(portOffset));
    baselines = await startBaselines({ dataDir, portOffset });
    const measurements = await measure({ system, dataDir, portOffset, shop, baselines, quick, signal });
    const processes = usage();
    const figures = figuresOf(measurements, processes);
    const file = join(results, `${name}.json`);
    writeFileSync(file, JSON.stringify({ quick, figures, measurements, processes }, undefined, 2));
    const { cost, machine } = measurements;
    const parts = [
      `\n${describeMachine()}${quick ? ', quick' : ''}`,
      figureTable(figures),
      costTable(cost, processes),
      describeLimit(machine),
      file,
      ...(profiles ? [`CPU profiles: ${profiles}`] : []),
    ];
    console.log(parts.join('\n\n'));
  } finally {
    console.log('Stopping ...');
    await baselines?.stop();
    await shop?.close();
    await system?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}
