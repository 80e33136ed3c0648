import { spawnSync } from 'node:child_process';
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
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import lock from '../../package-lock.json' with { type: 'json' };

let checkout: string;
beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'sidecart-bootstrap-'));
});
afterEach(() => rmSync(checkout, { recursive: true, force: true }));

/** A checkout that is up to date, and whose `npm run demo` prints the outcome of `program`. */
function upToDate(program: string): void {
  for (const name of ['package.json', 'package-lock.json', 'tsconfig.json', 'deploy/local/bootstrap.mjs'])
    cpSync(name, join(checkout, name));
  put('dist/deploy/local/demo.js', `console.log(JSON.stringify(${program}))`);
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

/** As a user calls it: without what the npm that runs this test has set. */
function npmRunDemo(env: Record<string, string> = {}) {
  const { HOME = tmpdir(), PATH = '' } = process.env;
  // This process may run with the packages of this project in front.
  const folders = PATH.split(delimiter).filter((folder) => !folder.includes('node_modules'));
  const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', 'demo'], {
    cwd: checkout,
    encoding: 'utf8',
    env: { HOME, PATH: folders.join(delimiter), npm_config_update_notifier: 'false', ...env },
  });
  const lines = stdout.trim().split('\n');
  return { status, stderr, lines, outcome: JSON.parse(lines.at(-1) || 'null') as unknown };
}

describe('the Node.js that the packages bring', () => {
  const PINNED = 'node_modules/.bin/node';

  it.each([
    ['has a loader that is not there', '#!/no/such/loader\n'],
    ['is for another machine', '\u007fELF'],
    ['ends with an error', '#!/bin/sh\nexit 127\n'],
  ])('When it %s, then that of the machine is taken, and a line says so', (_, program) => {
    upToDate('process.execPath');
    put(PINNED, program, 0o755);

    const { status, lines, outcome } = npmRunDemo();

    expect(status).toBe(0);
    expect(outcome).toMatch(/node$/);
    expect(lines[0]).toMatch(/^The pinned Node.js does not run on this machine: using v\d+\S+ \(.+node\)\.$/);
    expect(existsSync(join(checkout, PINNED))).toBe(false);
    expect(npmRunDemo().lines).toHaveLength(1);
  });

  it('When it runs, then it is the one that runs the command', () => {
    upToDate('process.argv0');
    put(PINNED, `#!/usr/bin/env bash\nexec -a pinned ${process.execPath} "$@"\n`, 0o755);
    expect(npmRunDemo()).toMatchObject({ status: 0, outcome: 'pinned' });
  });

  it('When it is a link to nothing, then that of the machine is taken', () => {
    upToDate('process.execPath');
    mkdirSync(join(checkout, 'node_modules/.bin'), { recursive: true });
    symlinkSync('../nothing', join(checkout, PINNED));
    expect(npmRunDemo()).toMatchObject({ status: 0, outcome: expect.stringMatching(/node$/) });
  });

  it('When npm looks at the lock file, then it is for glibc alone', () => {
    const { packages } = lock as { packages: Record<string, { libc?: string | string[] }> };
    const pinned = Object.entries(packages).filter(([name]) => name.startsWith('node_modules/node-linux-'));
    expect(pinned).toHaveLength(2);
    for (const [, { libc }] of pinned) expect(libc).toEqual(['glibc']);
  });

  it('When a script starts the bootstrap, then with the Node.js of npm, which runs', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      scripts: Record<string, string>;
    };
    const starting = Object.values(scripts).filter((script) => script.includes('bootstrap.mjs'));
    expect(starting.length).toBeGreaterThan(5);
    for (const script of starting) expect(script).toMatch(/^exec "\$\{npm_node_execpath:-node\}" deploy/);
  });
});
