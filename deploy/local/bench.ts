import { tmpdir } from 'node:os';
import { bench } from '../../tests/load/bench.ts';
import { portOffset } from './ports.ts';
import { prepare } from './prepare.ts';

/** `npm run bench`: measures a system of its own, on ports of its own. `-- --quick` for a short look. */
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => interrupted.abort(new Error('interrupted')));
await prepare(tmpdir());
await bench({
  quick: process.argv.includes('--quick'),
  portOffset: portOffset(5_000),
  signal: interrupted.signal,
}).catch((error: unknown) => {
  if (!interrupted.signal.aborted) throw error;
  process.exitCode = 130;
});
