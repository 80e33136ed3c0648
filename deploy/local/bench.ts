import { tmpdir } from 'node:os';
import { bench } from '../../tests/load/bench.ts';
import { untilInterrupted } from './interrupted.ts';
import { portOffset } from './ports.ts';
import { prepare } from './prepare.ts';

/** `npm run bench`: measures a system of its own, on ports of its own. `-- --quick` for a short look. */
const signal = untilInterrupted();
await prepare(tmpdir());
await bench({
  quick: process.argv.includes('--quick'),
  portOffset: portOffset(5_000),
  signal,
}).catch((error: unknown) => {
  if (!signal.aborted) throw error;
  process.exitCode = 130;
});
