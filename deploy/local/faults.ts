import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isGood, readable } from '../../tests/faults/report.ts';
import { run } from '../../tests/faults/run.ts';
import { folder, root } from './paths.ts';
import { portOffset } from './ports.ts';
import { prepare } from './prepare.ts';

/** `npm run test:faults`: ten minutes of load and faults against a system of its own, then every promise is checked. */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    minutes: { type: 'string', default: '10' },
    mischief: { type: 'boolean', default: false },
    only: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => interrupted.abort(new Error('interrupted')));

await prepare(tmpdir());
const results = folder(root, '.sidecart/faults');
const scratch = mkdtempSync(join(results, 'run-'));
const report = await run({
  seed: values.seed,
  seconds: 60 * Number(values.minutes),
  mode: values.mischief ? 'mischief' : 'faults',
  only: values.only?.split(',').map((kind) => kind.trim()),
  portOffset: portOffset(9_000),
  scratch,
  signal: interrupted.signal,
  tell: console.log,
});
const file = join(results, `${report.date.replaceAll(/[:.]/g, '-')}.json`);
writeFileSync(file, JSON.stringify(report, undefined, 2));
console.log(`\n${readable(report)}\n\n${file}`);
// What is needed to find out why stays.
if (isGood(report) && !values.keep) rmSync(scratch, { recursive: true, force: true });
else console.log(`Databases and logs: ${scratch}`);
process.exitCode = isGood(report) ? 0 : 1;
