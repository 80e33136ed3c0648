import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Where /proc tells: Linux. Nothing here fails elsewhere; it knows nothing then. */

const LISTENS = '0A';
const TIME_WAIT = '06';

/** Who has this TCP port: `redis-server *:6379 (process 12, in /srv)`. Undefined where nothing tells, or only the kernel has it. */
export function holderOf(port: number): string | undefined {
  const sockets = socketsAt(port);
  for (const pid of read(() => readdirSync('/proc'))?.filter((name) => /^\d+$/.test(name)) ?? []) {
    const open = read(() => readdirSync(`/proc/${pid}/fd`)) ?? [];
    const isHolder = open.some((fd) => sockets.has(read(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? ''));
    if (!isHolder) continue;
    const folder = read(() => readlinkSync(`/proc/${pid}/cwd`));
    const name = commandOf(Number(pid))?.slice(0, COMMAND_LENGTH) ?? 'a program';
    return `${name} (process ${pid}${folder ? `, in ${folder}` : ''})`;
  }
  return undefined;
}

/**
 * Whether nobody has this TCP port but the kernel, for a connection that a program has closed: Linux keeps the port of an
 * outgoing one from listeners for a minute then.
 */
export function isClosing(port: number): boolean {
  const rows = rowsAt(port);
  return rows.length > 0 && rows.every(([, , , state]) => state === TIME_WAIT);
}

/** A message names a program with its first arguments. */
const COMMAND_LENGTH = 120;

/** The command line of a process; undefined where it is over, or nothing tells. */
export function commandOf(pid: number): string | undefined {
  const text = read(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  return text?.replaceAll('\0', ' ').trim() || undefined;
}

/** The sockets at this port, as links in /proc name them: the one that listens, else those of connections. */
function socketsAt(port: number): Set<string> {
  const rows = rowsAt(port);
  const listening = rows.filter(([, , , state]) => state === LISTENS);
  const inodes = (listening.length > 0 ? listening : rows).map((row) => row[9] ?? '0');
  return new Set(inodes.filter((inode) => inode !== '0').map((inode) => `socket:[${inode}]`));
}

/** What the kernel's tables have with this port at our end: number, local and remote address, state and so on. */
function rowsAt(port: number): string[][] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return ['tcp', 'tcp6']
    .flatMap(
      (table) =>
        read(() => readFileSync(`/proc/net/${table}`, 'utf8'))
          ?.split('\n')
          .slice(1) ?? [],
    )
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '']) => local.endsWith(`:${hex}`));
}

/** Processes come and go, and those of others are theirs. */
function read<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch {
    return undefined;
  }
}
