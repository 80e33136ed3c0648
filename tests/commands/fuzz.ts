import { fuzz } from '../fuzz/fuzz.ts';
import { tmpdir } from 'node:os';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { prepare } from '../../deploy/local/system/prepare.ts';
import { settings } from '../../deploy/local/configuration/settings.ts';

/** `npm run test:fuzz`: broken requests of every kind against a system of its own. `-- --seed 1` repeats a run. */
await orExit(process, () => settings());
await prepare(tmpdir());
process.exitCode = await fuzz(process.argv.slice(2));
