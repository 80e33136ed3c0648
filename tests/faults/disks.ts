import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, rmSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { readOutput } from '../../deploy/local/machine/processes.ts';

/** A separate disk, small enough to fill up. */
export interface SmallDisk {
  fill: () => void;
  free: () => void;
  remove: () => void;
}

const DISK_SIZE = '64m';
const MEGABYTE = Buffer.alloc(1024 * 1024);

/**
 * Puts the database of a service on a small disk, before it is first opened. Needs root. Returns undefined if the machine
 * does not support it.
 */
export function createSmallDisk(dataDir: string, service: string): SmallDisk | undefined {
  const disk = join(dataDir, 'small-disk');
  mkdirSync(disk, { recursive: true });
  if (
    process.getuid?.() !== 0 ||
    readOutput('mount', '-t', 'tmpfs', '-o', `size=${DISK_SIZE}`, 'tmpfs', disk) === undefined
  )
    return undefined;
  // SQLite follows the link, and creates its other files beside the target.
  mkdirSync(join(dataDir, 'state'), { recursive: true });
  symlinkSync(join(disk, `${service}.db`), join(dataDir, 'state', `${service}.db`));
  const filler = join(disk, 'filler');
  return {
    fill() {
      const file = openSync(filler, 'w');
      try {
        for (;;) writeSync(file, MEGABYTE);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      } finally {
        closeSync(file);
      }
    },
    free: () => rmSync(filler, { force: true }),
    remove: () => void readOutput('umount', '--lazy', disk),
  };
}

/** Holds the write lock of an SQLite database until stdin ends, like a slow backup. */
const HOLD_LOCK = `
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=5, isolation_level=None)
database.execute('BEGIN IMMEDIATE')
sys.stdin.read()
`;

/** Locks a database for writing. @returns the unlock function, or undefined without Python and SQLite */
export function lockDatabase(dataDir: string, service: string): (() => Promise<void>) | undefined {
  const child = spawn('python3', ['-c', HOLD_LOCK, join(dataDir, 'state', `${service}.db`)], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = Promise.race([once(child, 'exit'), once(child, 'error')]);
  if (child.pid === undefined) return undefined;
  return async () => {
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(timer);
  };
}
