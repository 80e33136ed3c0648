import { tmpdir } from 'node:os';
import { readSettings } from '../../deploy/local/configuration/settings.ts';
import { preparePrograms } from '../../deploy/local/system/prepare.ts';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { fuzz } from '../fuzz/fuzz.ts';

/** `npm run test:fuzz`: sends broken requests of every kind to a separate system. `-- --seed 1` repeats a run. */
await orExit(process, () => readSettings());
await preparePrograms(tmpdir());
process.exitCode = await fuzz(process.argv.slice(2));
