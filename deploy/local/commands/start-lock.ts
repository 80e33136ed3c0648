import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readTextOrEmpty } from '../machine/paths.ts';
import { readCommandLine } from '../machine/port-holder.ts';

/**
 * Locks the data folder for this process until it exits.
 *
 * @throws Error that names the process, if another one has the lock
 */
export function lockDataFolder(dataDir: string): void {
  const file = join(dataDir, 'start.pid');
  const owner = findOwner(file);
  if (owner !== undefined)
    throw new Error(
      `A system is already running in ${dataDir} (process ${owner}). ` +
        `Stop that system with Ctrl-C in its terminal, or start a second system: PORT_OFFSET=1000 npm start`,
    );
  rmSync(file, { force: true });
  try {
    // If two processes start at once, one of them fails here.
    writeFileSync(file, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') rmSync(file, { force: true });
    throw error;
  }
  process.once('exit', () => rmSync(file, { force: true }));
}

function findOwner(file: string): number | undefined {
  const pid = Number(readTextOrEmpty(file));
  if (!Number.isInteger(pid) || pid < 1 || pid === process.pid || !isAlive(pid)) return undefined;
  // After a power cut another program may have this process id.
  const command = readCommandLine(pid);
  return command === undefined || /\b(start|dev)\.(js|ts)\b/.test(command) ? pid : undefined;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
