import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { keepLoopbackFromProxies } from '../../deploy/local/loopback.mjs';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import lock from '../../package-lock.json' with { type: 'json' };

let checkout: string;
beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'sidecart-bootstrap-'));
});
afterEach(() => rmSync(checkout, { recursive: true, force: true }));

/** An up-to-date checkout whose `npm run demo` prints the output of `program`. */
function upToDate(program: string): void {
  const programs = ['deploy/local/bootstrap.mjs', 'deploy/local/loopback.mjs'];
  for (const name of ['package.json', 'package-lock.json', 'tsconfig.json', ...programs])
    cpSync(name, join(checkout, name));
  put('dist/deploy/local/commands/demo.js', `console.log(JSON.stringify(${program}))`);
  const soon = new Date(Date.now() + 60_000);
  for (const stamp of ['node_modules/.package-lock.json', 'dist/.built']) {
    put(stamp, '');
    utimesSync(join(checkout, stamp), soon, soon);
  }
}

function put(name: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(join(checkout, name)), { recursive: true });
  writeFileSync(join(checkout, name), text, { mode });
}

/** Runs npm without the variables of the npm that runs this test. */
async function npmRunDemo(env: Record<string, string> = {}) {
  const { HOME = tmpdir(), PATH = '' } = process.env;
  // PATH of this process may start with the packages of this project.
  const folders = PATH.split(delimiter).filter((folder) => !folder.includes('node_modules'));
  const { stdout, stderr } = await promisify(execFile)('npm', ['run', '--silent', 'demo'], {
    cwd: checkout,
    env: { HOME, PATH: folders.join(delimiter), npm_config_update_notifier: 'false', ...env },
  });
  const lines = `${stderr}${stdout}`.trim().split('\n');
  return { lines, outcome: JSON.parse(lines.at(-1) ?? '') as unknown };
}

describe('the Node.js that the packages bring', { timeout: 30_000 }, () => {
  const PINNED = 'node_modules/.bin/node';

  it.each([
    ['has a loader that is not there', '#!/no/such/loader\n'],
    ['is for another machine', '\u007fELF'],
    ['ends with an error', '#!/bin/sh\nexit 127\n'],
  ])('When it %s, then Node.js of the machine is used, and a line says so', async (_, program) => {
    upToDate('process.execPath');
    put(PINNED, program, 0o755);

    const { lines, outcome } = await npmRunDemo();

    expect(outcome).toMatch(/node$/);
    expect(lines[0]).toMatch(/^The pinned Node.js does not run on this machine. Using v\d+\S+ \(.+node\)\.$/);
    expect(existsSync(join(checkout, PINNED))).toBe(false);
    expect((await npmRunDemo()).lines).toHaveLength(1);
  });

  it('When it works, then it runs the command', async () => {
    upToDate('process.argv0');
    put(PINNED, `#!/usr/bin/env bash\nexec -a pinned ${process.execPath} "$@"\n`, 0o755);
    expect(await npmRunDemo()).toMatchObject({ outcome: 'pinned' });
  });

  it('When it is a broken link, then Node.js of the machine is used', async () => {
    upToDate('process.execPath');
    mkdirSync(join(checkout, 'node_modules/.bin'), { recursive: true });
    symlinkSync('../nothing', join(checkout, PINNED));
    expect(await npmRunDemo()).toMatchObject({ outcome: expect.stringMatching(/node$/) });
  });

  it('When npm reads the lock file, then the package is for glibc only', () => {
    const { packages } = lock as { packages: Record<string, { libc?: string | string[] }> };
    const pinned = Object.entries(packages).filter(([name]) => name.startsWith('node_modules/node-linux-'));
    expect(pinned).toHaveLength(2);
    for (const [, { libc }] of pinned) expect(libc).toEqual(['glibc']);
  });

  it('When a script starts the bootstrap, then it uses the Node.js of npm, and works', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      scripts: Record<string, string>;
    };
    const starting = Object.values(scripts).filter((script) => script.includes('bootstrap.mjs'));
    expect(starting.length).toBeGreaterThan(5);
    for (const script of starting) expect(script).toMatch(/^exec "\$\{npm_node_execpath:-node\}" deploy/);
  });
});

describe('a proxy in the environment', { timeout: 30_000 }, () => {
  /** A proxy that records its requests. Node.js 24 uses it with NODE_USE_ENV_PROXY. */
  const runsWithProxies = Number(process.versions.node.split('.')[0]) >= 24;

  it.runIf(runsWithProxies)('When one is set, then calls to this machine do not use it', async () => {
    const proxyRequests: (string | undefined)[] = [];
    const proxy = createServer((req, res) => void (proxyRequests.push(req.url), res.end('proxy')));
    const part = createServer((_req, res) => void res.end('part'));
    for (const server of [proxy, part]) {
      await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
      onTestFinished(() => void server.close());
    }
    const portOf = (server: Server) => (server.address() as AddressInfo).port;
    const hosts = ['127.0.0.1', 'localhost'].map((host) => `http://${host}:${portOf(part)}`);
    upToDate(`await Promise.all(${JSON.stringify(hosts)}.flatMap((url) => [
      fetch(url).then((response) => response.text()),
      import('node:http').then((http) => new Promise((resolve, reject) =>
        http.get(url, (response) => response.setEncoding('utf8').on('data', resolve)).on('error', reject))),
    ]))`);
    mkdirSync(join(checkout, 'node_modules/.bin'), { recursive: true });
    symlinkSync(process.execPath, join(checkout, 'node_modules/.bin/node'));

    const url = `http://127.0.0.1:${portOf(proxy)}`;
    const { outcome } = await npmRunDemo({
      NODE_USE_ENV_PROXY: '1',
      HTTP_PROXY: url,
      NO_PROXY: 'shop.example',
    });

    expect(outcome).toEqual(['part', 'part', 'part', 'part']);
    expect(proxyRequests).toEqual([]);
  });

  it.each([
    [{}, 'localhost,127.0.0.1,::1,[::1]'],
    [{ NO_PROXY: 'a.example, b.example' }, 'a.example,b.example,localhost,127.0.0.1,::1,[::1]'],
    [{ no_proxy: 'a.example', NO_PROXY: 'b.example' }, 'a.example,b.example,localhost,127.0.0.1,::1,[::1]'],
    [{ no_proxy: '', NO_PROXY: 'localhost' }, 'localhost,127.0.0.1,::1,[::1]'],
    [{ NO_PROXY: '*' }, '*'],
  ])('When the exceptions are %j, then they remain, and this machine is added', (given, exceptions) => {
    const env: Record<string, string | undefined> = given;
    keepLoopbackFromProxies(env);
    expect(env).toEqual({ no_proxy: exceptions, NO_PROXY: exceptions });
  });

  it('When the services are started from dapr.yaml, then this machine is an exception, too', () => {
    const { NO_PROXY, no_proxy } = readTemplate().common.env;
    expect([NO_PROXY, no_proxy]).toEqual(['localhost,127.0.0.1,::1', 'localhost,127.0.0.1,::1']);
  });
});
