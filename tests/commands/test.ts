import { tmpdir } from 'node:os';
import { readSettings } from '../../deploy/local/configuration/settings.ts';
import { preparePrograms } from '../../deploy/local/system/prepare.ts';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { findOrInstallChromium } from '../support/chromium.ts';
import { findOrBuildManifestTools } from '../support/manifest-tools.ts';
import { runTests } from './run-vitest.ts';

/** `npm test`: installs the programs that the tests start, then runs the tests. Arguments go to vitest. */
await orExit(process, () => readSettings());
await preparePrograms(tmpdir());
await findOrInstallChromium(tmpdir(), console.log);
await findOrBuildManifestTools(console.log);
runTests(['component', 'contract', 'deploy', 'system'], process.argv.slice(2));
