import { tmpdir } from 'node:os';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { findOrInstallChromium } from './chromium.ts';
import { findOrBuildManifestTools } from './manifest-tools.ts';
import { prepare } from './prepare.ts';
import { settings } from './settings.ts';
import { runTests } from './vitest.ts';

/** `npm test`: makes sure that the tests have the programs that they start, then runs them. Arguments go to vitest. */
await orExit(process, () => settings());
await prepare(tmpdir());
await findOrInstallChromium(tmpdir(), console.log);
await findOrBuildManifestTools(console.log);
runTests(['component', 'deploy', 'system'], process.argv.slice(2));
