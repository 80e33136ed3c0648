import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, rmSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { readOutput } from '../../deploy/local/machine/processes.ts';

/** A disk of its own, small enough to be full. */
export interface SmallDisk {
  fill: () => void;
  free: () => void;
  remove: () => void;
}

const SIZE = '64m';
const MEGABYTE = Buffer.alloc(1024 * 1024);

/**
 * Puts the database of a service onto a small disk, before it is first opened; undefined where the machine does not allow
 * that. Needs root.
 */
export function makeSmallDisk(dataDir: string, service: string): SmallDisk | undefined {
  const disk = join(dataDir, 'small-disk');
  mkdirSync(disk, { recursive: true });
  if (
    process.getuid?.() !== 0 ||
    readOutput('mount', '-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', disk) === undefined
  )
    return undefined;
  // SQLite follows the link, and keeps its other files where it leads.
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

/** Holds the write lock of an SQLite database until its input ends: a backup that takes its time. */
const HOLD_LOCK = `
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=5, isolation_level=None)
database.execute('BEGIN IMMEDIATE')
sys.stdin.read()
`;

/** Locks a database for writing. @returns what ends it; undefined where there is no Python with SQLite */
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
