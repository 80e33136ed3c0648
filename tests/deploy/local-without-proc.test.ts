import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';

/** Simulates macOS, which has no /proc. It needs a new process, because modules of this one have imported `node:fs`. */
const HIDE_PROC = `
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  for (const name of ['readdirSync', 'readFileSync', 'readlinkSync', 'writeFileSync']) {
    const real = fs[name];
    fs[name] = (path, ...rest) => {
      if (String(path).startsWith('/proc')) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
      return real(path, ...rest);
    };
  }
  syncBuiltinESMExports();
`;

/** Runs TypeScript code, which returns its result with `print`. */
function run(script: string): unknown {
  const preload = `data:text/javascript,${encodeURIComponent(HIDE_PROC)}`;
  const prelude = 'const print = (found) => console.log(JSON.stringify(found));';
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--import', preload, '--input-type=module', '--eval', prelude + script],
    { encoding: 'utf8', timeout: 30_000 },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

const runsTypeScript = Number(process.versions.node.split('.')[0]) >= 24;

describe.runIf(runsTypeScript)('without /proc', () => {
  let port: number;
  beforeAll(async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
    return () => void server.close();
  });

  it('When a port is in use, then the error has the port without the process', () => {
    const found = run(`
      import { findPortHolder, isPortClosing, readCommandLine } from './deploy/local/machine/port-holder.ts';
      import { assertPortFree } from './deploy/local/machine/tcp-ports.ts';
      const { message } = await assertPortFree(${port}, 'a part', 200).catch((error) => error);
      print({ holder: findPortHolder(${port}) ?? null, closing: isPortClosing(${port}), own: readCommandLine(process.pid) ?? null, message });
    `);
    expect(found).toEqual({
      holder: null,
      closing: false,
      own: null,
      message: expect.stringContaining('is in use by another program. Stop that') as string,
    });
  });

  it('When a process has low priority, then it starts, and a second start is rejected', () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-without-proc-'));
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
    const found = run(`
      import { writeFileSync } from 'node:fs';
      import { lockDataFolder } from './deploy/local/commands/start-lock.ts';
      import { startProcess } from './deploy/local/machine/processes.ts';
      const dataDir = ${JSON.stringify(dataDir)};
      const idle = startProcess('idle', process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { logDir: dataDir, niceness: 10 });
      writeFileSync(dataDir + '/start.pid', String(idle.pid));
      let refused = '';
      try { lockDataFolder(dataDir); } catch (error) { refused = error.message; }
      print({ hasExited: idle.hasExited(), isNamed: refused.includes('(process ' + idle.pid + ')') });
      await idle.stop('SIGKILL');
    `);
    expect(found).toEqual({ hasExited: false, isNamed: true });
  });
});
