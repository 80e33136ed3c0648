import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  startProcess,
  waitFor as waitForProcess,
  type RunningProcess,
} from '../../deploy/local/machine/processes.ts';
import { waitFor } from '../support/wait.ts';

let logDir: string;
let running: RunningProcess | undefined;
beforeEach(() => {
  logDir = mkdtempSync(join(tmpdir(), 'sidecart-processes-'));
});
afterEach(async () => {
  vi.useRealTimers();
  await running?.stop('SIGKILL');
  rmSync(logDir, { recursive: true, force: true });
});

describe('a process that is started', () => {
  it('When it has low priority, then others get a processor first', async () => {
    running = startProcess('idle', process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
      logDir,
      niceness: 10,
    });
    const { pid } = running;

    expect(getPriority(pid)).toBe(10);
    const autogroup = `/proc/${pid}/autogroup`;
    if (existsSync(autogroup))
      await waitFor('its session stands back', () => readFileSync(autogroup, 'utf8'), {
        until: (text) => text.includes('nice 10'),
      });
  });

  it('When the program does not exist, then its log says so', async () => {
    running = startProcess('nothing', join(logDir, 'nothing'), [], { logDir });
    await expect(
      waitForProcess('nothing', () => Promise.resolve(false), { process: running }),
    ).rejects.toThrow('nothing.log');
    expect(readFileSync(running.logFile, 'utf8')).toContain('ENOENT');
  });

  it('When the condition names what is missing, then the error contains it', async () => {
    await expect(waitForProcess('it', () => Promise.resolve('a sidecar'), { timeoutMs: 1 })).rejects.toThrow(
      'waiting for it: timed out after 0.001 s: a sidecar',
    );
  });

  it('When the clock is set back meanwhile, then the wait still times out', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const isSo = async () => {
      vi.setSystemTime(Date.now() - 60_000);
      return false;
    };
    await expect(waitForProcess('it', isSo, { timeoutMs: 200 })).rejects.toThrow(
      'waiting for it: timed out after 0.2 s',
    );
  });
});
