import { orStop } from '../../services/shared/run.ts';
import { settings } from './settings.ts';
import { runTests } from './vitest.ts';

/** `npm run test:compose`: deploy/compose as a project of its own; skipped where nothing runs Compose files. Arguments go to vitest. */
await orStop(process, () => settings());
runTests(['compose'], process.argv.slice(2));
