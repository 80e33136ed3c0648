import { fuzz } from '../../tests/fuzz/fuzz.ts';
import { tmpdir } from 'node:os';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { prepare } from './prepare.ts';
import { settings } from './settings.ts';

/** `npm run test:fuzz`: broken requests of every kind against a system of its own. `-- --seed 1` repeats a run. */
await orExit(process, () => settings());
await prepare(tmpdir());
process.exitCode = await fuzz(process.argv.slice(2));
