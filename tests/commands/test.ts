import { tmpdir } from 'node:os';
import { takeOption } from '../../deploy/local/commands/arguments.ts';
import { readSettings } from '../../deploy/local/configuration/settings.ts';
import { PROFILES } from '../../deploy/local/profiles/index.ts';
import { ALL_TWINS, parseTwins } from '../../deploy/local/programs/twins.ts';
import { preparePrograms } from '../../deploy/local/system/prepare.ts';
import { orExit } from '../../services/shared/runtime/shutdown.ts';
import { findOrInstallChromium } from '../support/chromium.ts';
import { findOrBuildCollector } from '../support/collector.ts';
import { findOrBuildManifestTools } from '../support/manifest-tools.ts';
import { passTwinsToTests } from '../support/twins.ts';
import { runTests } from './run-vitest.ts';

/**
 * `npm test`: installs the programs that the tests start, then runs the tests. Arguments go to vitest. `-- --with payments=python`
 * runs only the tests of systems with services in other languages, and all of those.
 */
const { languages, twins, args } = await orExit(process, () => {
  readSettings();
  const { value, others } = takeOption('with');
  return { languages: value, twins: parseTwins(value ?? ALL_TWINS), args: others };
});
await preparePrograms(tmpdir(), undefined, { twins });
await findOrInstallChromium(tmpdir(), console.log);
await findOrBuildManifestTools(console.log);
// A build in a test would exceed the time of its hook, and slow down the other tests. The tests of twins need neither.
if (languages === undefined) {
  await findOrBuildCollector(console.log);
  for (const { find } of PROFILES.flatMap(({ programs }) => programs)) await find(console.log);
}
passTwinsToTests(languages);
runTests(languages === undefined ? ['component', 'contract', 'deploy', 'system', 'twins'] : ['twins'], args);
