import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { textOf } from '../machine/paths.ts';
import { commandOf } from '../machine/port-holder.ts';

/**
 * Notes that this process has the data in this folder, until it ends.
 *
 * @throws Error that names the process, where another one has it
 */
export function demandAlone(dataDir: string): void {
  const file = join(dataDir, 'start.pid');
  const owner = ownerOf(file);
  if (owner !== undefined)
    throw new Error(
      `A system is already running in ${dataDir} (process ${owner}). ` +
        `Stop that system with Ctrl-C in its terminal, or start a second system: PORT_OFFSET=1000 npm start`,
    );
  rmSync(file, { force: true });
  try {
    // Where two come at once, one of them fails here.
    writeFileSync(file, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') rmSync(file, { force: true });
    throw error;
  }
  process.once('exit', () => rmSync(file, { force: true }));
}

function ownerOf(file: string): number | undefined {
  const pid = Number(textOf(file));
  if (!Number.isInteger(pid) || pid < 1 || pid === process.pid || !isAlive(pid)) return undefined;
  // After a power cut another program may have got its number.
  const command = commandOf(pid);
  return command === undefined || /\b(start|dev)\.(js|ts)\b/.test(command) ? pid : undefined;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
