import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ensureFolder } from '../../deploy/local/machine/paths.ts';
import { systemPorts } from '../../deploy/local/configuration/system-ports.ts';

/** Starts that have to fail, as a user would type them: one sentence says what to do, the status is 1, and nothing remains. */

const OFFSET = 12_600;
const dataDir = join('.sidecart', `offset-${OFFSET}`);
const isRoot = process.getuid?.() === 0;

interface Outcome {
  status: number | null;
  output: string;
}

/** Runs asynchronously, because this process may hold a port meanwhile. */
function run(args: string[], options: { cwd?: string; env?: Record<string, string> } = {}): Promise<Outcome> {
  const { HOME = homedir(), PATH = '' } = process.env;
  const child = spawn(process.execPath, args, {
    cwd: options.cwd,
    env: { HOME, PATH, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve) => child.once('close', (status) => resolve({ status, output })));
}

const start = (env: Record<string, string> = {}) =>
  run(['deploy/local/commands/start.ts'], { env: { PORT_OFFSET: String(OFFSET), ...env } });

function scratch(): string {
  const made = mkdtempSync(join(tmpdir(), 'sidecart-bad-start-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function ownData(): void {
  ensureFolder(dataDir);
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
}

/** Mounts a small file system. @returns whether the machine allows it */
function mounted(path: string, options: string): boolean {
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]).status !== 0) return false;
  onTestFinished(() => void spawnSync('umount', [path]));
  return true;
}

function expectRefusal({ status, output }: Outcome, ...parts: string[]): void {
  expect(output).toMatch(/\S/);
  for (const part of parts) expect(output).toContain(part);
  expect(output).not.toMatch(/^ {4}at /m);
  expect(status).toBe(1);
}

const runsTypeScript = Number(process.versions.node.split('.')[0]) >= 24;

describe.runIf(runsTypeScript)('a start that has to fail', { timeout: 180_000 }, () => {
  it.each(['gateway', "orders's sidecar", "history's sidecar, metrics", 'grpc', 'operator'])(
    'When the port of %s is in use, then the error has the process, and nothing starts',
    async (name) => {
      ownData();
      const { port = 0 } = systemPorts(OFFSET).find((one) => one.name === name) ?? {};
      const holder = createServer();
      await new Promise<void>((resolve) => void holder.listen(port, '127.0.0.1', resolve));
      onTestFinished(() => void holder.close());

      const outcome = await start();

      expectRefusal(outcome, `Port ${port} (${name}) is in use by`, 'PORT_OFFSET=1000 npm start');
      const who = existsSync('/proc') ? `(process ${process.pid}, in ${process.cwd()})` : 'another program';
      expect(outcome.output).toContain(who);
      expect(readdirSync(join(dataDir, 'logs'))).toEqual([]);
      expect(existsSync(join(dataDir, 'start.pid'))).toBe(false);
    },
  );

  it('When a system already runs in the folder, then the error has it, and it continues', async () => {
    ownData();
    const first = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'start.js']);
    onTestFinished(() => void first.kill());
    const command = join(dataDir, 'start.pid');
    writeFileSync(command, String(first.pid));

    expectRefusal(await start(), `A system is already running in`, `offset-${OFFSET} (process ${first.pid})`);

    expect(first.exitCode).toBeNull();
    expect(existsSync(command)).toBe(true);
  });

  it('When the cache is not writable, then the error has its variable', async (context) => {
    ownData();
    const cache = scratch();
    if (isRoot) context.skip(!mounted(cache, 'ro'), 'this machine does not allow mounting a file system');
    else chmodSync(cache, 0o500);

    const outcome = await start({ SIDECART_CACHE_DIR: cache, PATH: '' });

    expectRefusal(outcome, 'The cache folder is not writable', 'SIDECART_CACHE_DIR=./cache npm start');
    expect(readdirSync(cache)).toEqual([]);
  });

  it.runIf(isRoot)(
    'When the disk is full, then the error says so, and no partial file remains',
    async (context) => {
      ownData();
      context.skip(!mounted(dataDir, 'size=64k'), 'this machine does not allow mounting a file system');
      // Fills the disk.
      spawnSync('dd', ['if=/dev/zero', `of=${join(dataDir, 'filler')}`, 'bs=4k']);

      expectRefusal(await start(), 'The disk is full', 'Free some space');

      const left = readdirSync(dataDir, { withFileTypes: true, recursive: true });
      expect(left.filter((entry) => entry.isFile()).map(({ name }) => name)).toEqual(['filler']);
    },
  );
});

describe('a start in a new checkout', { timeout: 180_000 }, () => {
  /** A checkout without installed packages. */
  function fresh(): string {
    const checkout = scratch();
    for (const name of [
      'package.json',
      'package-lock.json',
      'deploy/local/bootstrap.mjs',
      'deploy/local/loopback.mjs',
    ])
      cpSync(name, join(checkout, name));
    return checkout;
  }
  const bootstrap = (cwd: string, env: Record<string, string>, ...before: string[]) =>
    run([...before, 'deploy/local/bootstrap.mjs', 'start'], { cwd, env });
  /** npm without retries and with an empty cache. */
  const withoutRetries = (cache: string) => ({ npm_config_fetch_retries: '0', npm_config_cache: cache });

  it.each([
    [
      'there is no network',
      { npm_config_registry: 'http://127.0.0.1:9/', npm_config_replace_registry_host: 'always' },
    ],
    [
      'a proxy rejects the connection',
      { HTTP_PROXY: 'http://127.0.0.1:9', HTTPS_PROXY: 'http://127.0.0.1:9' },
    ],
  ])('When %s, then the installation fails with instructions, and the next start retries', async (_, env) => {
    const checkout = fresh();
    const outcome = await bootstrap(checkout, { ...withoutRetries(scratch()), ...env });
    expectRefusal(
      outcome,
      'Installing packages (npm ci): failed',
      'Check the network and the proxy (HTTPS_PROXY)',
    );
    expect(existsSync(join(checkout, 'node_modules/.package-lock.json'))).toBe(false);
  });

  it('When Node.js is too old, then the error has the required version', async () => {
    const old = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.18.3' } });`;
    const checkout = fresh();
    const outcome = await bootstrap(
      checkout,
      {},
      '--import',
      `data:text/javascript,${encodeURIComponent(old)}`,
    );
    expectRefusal(outcome, 'Sidecart needs Node.js 20.19 or newer, but this is 20.18.3.');
    expect(readdirSync(checkout).toSorted()).toEqual(['deploy', 'package-lock.json', 'package.json']);
  });
});
