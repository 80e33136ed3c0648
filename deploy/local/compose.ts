import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { settings } from './settings.ts';
import { runTests } from './vitest.ts';

/** `npm run test:compose`: deploy/compose as a project of its own; skipped where nothing runs Compose files. Arguments go to vitest. */
await orExit(process, () => settings());
runTests(['compose'], process.argv.slice(2));
