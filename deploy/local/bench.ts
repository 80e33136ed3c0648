import { tmpdir } from 'node:os';
import { bench } from '../../tests/load/bench.ts';
import { untilInterrupted } from './interrupted.ts';
import { portOffset } from './ports.ts';
import { prepare } from './prepare.ts';

/** `npm run bench`: measures a system of its own, on ports of its own. `-- --quick` for a short look. */
await prepare(tmpdir());
await untilInterrupted((signal) =>
  bench({ quick: process.argv.includes('--quick'), portOffset: portOffset(5_000), signal }),
);
