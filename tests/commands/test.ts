import { tmpdir } from 'node:os';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { findOrInstallChromium } from '../support/chromium.ts';
import { findOrBuildManifestTools } from '../support/manifest-tools.ts';
import { prepare } from '../../deploy/local/system/prepare.ts';
import { settings } from '../../deploy/local/configuration/settings.ts';
import { runTests } from './run-vitest.ts';

/** `npm test`: makes sure that the tests have the programs that they start, then runs them. Arguments go to vitest. */
await orExit(process, () => settings());
await prepare(tmpdir());
await findOrInstallChromium(tmpdir(), console.log);
await findOrBuildManifestTools(console.log);
runTests(['component', 'deploy', 'system'], process.argv.slice(2));
