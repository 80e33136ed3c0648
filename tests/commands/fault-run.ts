import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readPortOffset } from '../../deploy/local/configuration/port-offset.ts';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { isGood, formatReport } from '../faults/report.ts';
import { run, type RunOptions } from '../faults/run.ts';

/**
 * Runs load and faults once, prints the report and writes it to a file.
 *
 * @param options.keep whether databases and logs stay even if every promise held
 * @returns whether every promise held
 */
export async function runAndReport(
  options: Omit<RunOptions, 'portOffset' | 'scratch' | 'print'> & { keep: boolean },
): Promise<boolean> {
  const results = ensureFolder(root, '.sidecart/faults');
  const scratch = mkdtempSync(join(results, 'run-'));
  const report = await run({ ...options, portOffset: readPortOffset(9_000), scratch, print: console.log });
  const file = join(results, `${report.date.replaceAll(/[:.]/g, '-')}.json`);
  writeFileSync(file, JSON.stringify(report, undefined, 2));
  console.log(`\n${formatReport(report)}\n\n${file}`);
  // After a failure, databases and logs stay for its analysis.
  if (isGood(report) && !options.keep) rmSync(scratch, { recursive: true, force: true });
  else console.log(`Databases and logs: ${scratch}`);
  return isGood(report);
}

/** A seed for a run that repeats no other. */
export const randomSeed = (): string => String(Math.floor(Math.random() * 1e9));
