// Installs the packages and compiles the code before a command runs. Plain JavaScript without dependencies, because the packages
// may be missing.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keepLoopbackFromProxies } from './loopback.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
process.chdir(root);

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Sidecart needs Node.js 20.19 or newer, but this is ${process.versions.node}.`);
  process.exit(1);
}

dropPinnedNodeThatFails();
keepLoopbackFromProxies();

const modified = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

if (modified('node_modules/.package-lock.json') < modified('package-lock.json')) {
  // The compiler and other tools are development packages, which NODE_ENV=production must not skip.
  const hint = 'Check the network and the proxy (HTTPS_PROXY), and start again.';
  step('Installing packages (npm ci)', 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund'], hint);
  dropPinnedNodeThatFails();
}
if (modified('dist/.built') < newest('services', 'deploy', 'tests', 'tsconfig.json', 'package-lock.json')) {
  step('Compiling (tsc)', 'npm', ['run', '--silent', 'build'], 'Correct the code, and start again.');
  writeFileSync('dist/.built', '');
}

// Node.js 22 and newer cache compiled code there, which saves a fifth of a service's processor time at its start.
process.env.NODE_COMPILE_CACHE ||= join(root, 'node_modules/.cache/node');

const [command = 'start', ...args] = process.argv.slice(2);
// Inside an npm script, `node` is the version that package-lock.json pins. It may not have existed when this process started.
const child = spawn('node', [programOf(command), ...args], { stdio: 'inherit' });
// A terminal sends Ctrl-C to the child as well. Any other signal reaches only this process.
process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));

/** A command that runs tests is among the tests, every other command here. */
function programOf(name) {
  const programs = ['deploy/local', 'tests'].map((part) => `dist/${part}/commands/${name}.js`);
  return programs.find((program) => existsSync(program)) ?? programs[0];
}

/**
 * Removes the link to the pinned Node.js if that does not run, for example with an old glibc. npm puts the folder of this link
 * first on the path, so all programs then use the Node.js of the machine.
 */
function dropPinnedNodeThatFails() {
  const pinned = join(root, 'node_modules/.bin/node');
  if (!existsSync(pinned) || spawnSync(pinned, ['--version']).status === 0) return;
  rmSync(pinned);
  console.error(
    `The pinned Node.js does not run on this machine. Using ${process.version} (${process.execPath}).`,
  );
}

/** Progress is no output of the command, which scripts may parse. */
function step(what, program, programArgs, hint) {
  console.error(`${what} ...`);
  const started = performance.now();
  const { status } = spawnSync(program, programArgs, { stdio: ['ignore', 2, 'inherit'] });
  if (status !== 0) {
    console.error(`${what}: failed, see the output above. ${hint}`);
    process.exit(1);
  }
  console.error(`${what}: done in ${Math.round((performance.now() - started) / 1000)} s`);
}

function newest(...paths) {
  const times = paths.map((path) =>
    existsSync(path) && statSync(path).isDirectory()
      ? newest(...readdirSync(path).map((entry) => join(path, entry)))
      : modified(path),
  );
  return Math.max(0, ...times);
}
