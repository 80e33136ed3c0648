import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { start, type Running } from '../../deploy/local/processes.ts';
import { until } from '../support/wait.ts';

let logDir: string;
let running: Running | undefined;
beforeEach(() => {
  logDir = mkdtempSync(join(tmpdir(), 'sidecart-processes-'));
});
afterEach(async () => {
  await running?.stop('SIGKILL');
  rmSync(logDir, { recursive: true, force: true });
});

describe('a process that is started', () => {
  it('When it is to stand back, then others get a processor first', async () => {
    running = start('idle', process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
      logDir,
      niceness: 10,
    });
    const { pid } = running;

    expect(getPriority(pid)).toBe(10);
    const autogroup = `/proc/${pid}/autogroup`;
    if (existsSync(autogroup))
      await until(
        'its session stands back',
        () => Promise.resolve(readFileSync(autogroup, 'utf8')),
        (text) => text.includes('nice 10'),
      );
  });
});
