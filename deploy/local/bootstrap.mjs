// What has to happen before anything of ours can run: the packages, and the compiled code. Plain JavaScript without
// dependencies, since there are none yet.
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
  // The tools that compile and start are among the development packages: NODE_ENV=production must not leave them out.
  const hint = 'Check the network and the proxy (HTTPS_PROXY), and start again.';
  step('Installing packages (npm ci)', 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund'], hint);
  dropPinnedNodeThatFails();
}
if (modified('dist/.built') < newest('services', 'deploy', 'tests', 'tsconfig.json', 'package-lock.json')) {
  step('Compiling (tsc)', 'npm', ['run', '--silent', 'build'], 'Correct the code, and start again.');
  writeFileSync('dist/.built', '');
}

// Node.js 22 and newer keep there what they have compiled: a fifth of a service's processor time to start.
process.env.NODE_COMPILE_CACHE ||= join(root, 'node_modules/.cache/node');

const [command = 'start', ...args] = process.argv.slice(2);
// Within a script of npm this is the Node.js that package-lock.json pins, which was not there yet when this one began.
const child = spawn('node', [programOf(command), ...args], { stdio: 'inherit' });
// A terminal sends Ctrl-C to the child as well; from anywhere else a signal reaches only this process.
process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));

/** A command that runs tests is among the tests, every other command here. */
function programOf(name) {
  const programs = ['deploy/local', 'tests'].map((part) => `dist/${part}/commands/${name}.js`);
  return programs.find((program) => existsSync(program)) ?? programs[0];
}

/**
 * Where the pinned Node.js does not run, as with another C library, everything takes the machine's: npm puts the folder of this
 * link first on the path. The lock file keeps it away from musl, but nothing says how old a glibc is.
 */
function dropPinnedNodeThatFails() {
  const pinned = join(root, 'node_modules/.bin/node');
  if (!existsSync(pinned) || spawnSync(pinned, ['--version']).status === 0) return;
  rmSync(pinned);
  console.log(
    `The pinned Node.js does not run on this machine. Using ${process.version} (${process.execPath}).`,
  );
}

function step(what, program, programArgs, hint) {
  console.log(`${what} ...`);
  const started = performance.now();
  const { status } = spawnSync(program, programArgs, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) {
    console.error(`${what}: failed, see the output above. ${hint}`);
    process.exit(1);
  }
  console.log(`${what}: done in ${Math.round((performance.now() - started) / 1000)} s`);
}

function newest(...paths) {
  const times = paths.map((path) =>
    existsSync(path) && statSync(path).isDirectory()
      ? newest(...readdirSync(path).map((entry) => join(path, entry)))
      : modified(path),
  );
  return Math.max(0, ...times);
}
