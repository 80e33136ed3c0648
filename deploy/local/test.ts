import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { orStop } from '../../services/shared/run.ts';
import { findOrInstallChromium } from './chromium.ts';
import { findOrBuildManifestTools } from './manifest-tools.ts';
import { root } from './paths.ts';
import { prepare } from './prepare.ts';
import { settings } from './settings.ts';

/** `npm test`: makes sure that the tests have the programs that they start, then runs all tests. Arguments go to vitest. */
await orStop(process, () => settings());
await prepare(tmpdir());
await findOrInstallChromium(tmpdir(), console.log);
await findOrBuildManifestTools(console.log);
const args = ['run', '--config', 'tests/vitest.config.ts', ...process.argv.slice(2)];
const vitest = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
  cwd: root,
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => vitest.kill(signal));
vitest.on('exit', (code) => process.exit(code ?? 1));
