import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { demandAlone } from '../../deploy/local/one-start.ts';
import { commandOf, holderOf, isClosing } from '../../deploy/local/port-holder.ts';
import { demandFree } from '../../deploy/local/ports.ts';
import { start } from '../../deploy/local/processes.ts';

/** As on macOS: there is no /proc. */
vi.mock('node:fs', async (original) => {
  const real: Record<string, unknown> = await original();
  const withoutProc = (name: string) => {
    const call = real[name] as (...args: unknown[]) => unknown;
    return (...args: unknown[]) => {
      if (String(args[0]).startsWith('/proc')) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
      return call(...args);
    };
  };
  const names = ['readdirSync', 'readFileSync', 'readlinkSync', 'writeFileSync'];
  return { ...real, ...Object.fromEntries(names.map((name) => [name, withoutProc(name)])) };
});

it('When there is no /proc, then a port that is taken is named without its holder', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;

  expect([holderOf(port), isClosing(port), commandOf(process.pid)]).toEqual([undefined, false, undefined]);
  await expect(demandFree(port, 'a part', 200)).rejects.toThrow('is taken by another program. Stop that');
});

it('When there is no /proc, then a second start is refused, and a process that stands back starts', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-without-proc-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const idle = start('idle', process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    logDir: dataDir,
    niceness: 10,
  });
  onTestFinished(() => idle.stop('SIGKILL'));
  writeFileSync(join(dataDir, 'start.pid'), String(idle.pid));

  expect(idle.hasEnded()).toBe(false);
  expect(() => demandAlone(dataDir)).toThrow(`(process ${idle.pid})`);
});
