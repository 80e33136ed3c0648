import { fuzz } from '../../tests/fuzz/fuzz.ts';
import { tmpdir } from 'node:os';
import { prepare } from './prepare.ts';

/** `npm run test:fuzz`: broken requests of every kind against a system of its own. `-- --seed 1` repeats a run. */
await prepare(tmpdir());
process.exitCode = await fuzz(process.argv.slice(2));
