import { readSettings } from '../../deploy/local/configuration/settings.ts';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { runTests } from './run-vitest.ts';

/** `npm run test:compose`: tests deploy/compose as a separate project. It is skipped if no program runs Compose files. Arguments go to vitest. */
await orExit(process, () => readSettings());
runTests(['compose'], process.argv.slice(2));
