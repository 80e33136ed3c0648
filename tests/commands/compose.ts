import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { settings } from '../../deploy/local/configuration/settings.ts';
import { runTests } from './run-vitest.ts';

/** `npm run test:compose`: deploy/compose as a project of its own; skipped where nothing runs Compose files. Arguments go to vitest. */
await orExit(process, () => settings());
runTests(['compose'], process.argv.slice(2));
