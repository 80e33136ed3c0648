import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isGood, readable } from '../faults/report.ts';
import { run, type RunOptions } from '../faults/run.ts';
import { folder, root } from '../../deploy/local/machine/paths.ts';
import { portOffset } from '../../deploy/local/configuration/port-offset.ts';

/**
 * One run of load and faults, with its report printed and kept.
 *
 * @param options.keep databases and logs stay, also where every promise held
 * @returns whether every promise held
 */
export async function faultRun(
  options: Omit<RunOptions, 'portOffset' | 'scratch' | 'tell'> & { keep: boolean },
): Promise<boolean> {
  const results = folder(root, '.sidecart/faults');
  const scratch = mkdtempSync(join(results, 'run-'));
  const report = await run({ ...options, portOffset: portOffset(9_000), scratch, tell: console.log });
  const file = join(results, `${report.date.replaceAll(/[:.]/g, '-')}.json`);
  writeFileSync(file, JSON.stringify(report, undefined, 2));
  console.log(`\n${readable(report)}\n\n${file}`);
  // What is needed to find out why stays.
  if (isGood(report) && !options.keep) rmSync(scratch, { recursive: true, force: true });
  else console.log(`Databases and logs: ${scratch}`);
  return isGood(report);
}

/** A seed for a run that is to be like no other. */
export const anySeed = (): string => String(Math.floor(Math.random() * 1e9));
