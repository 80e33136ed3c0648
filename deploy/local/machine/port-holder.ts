import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Reads /proc, which only Linux has. On other systems these functions return no result, but do not fail. */

const LISTEN = '0A';
const TIME_WAIT = '06';

/** The process at this TCP port: `redis-server *:6379 (process 12, in /srv)`. Undefined if it is unknown, or only the kernel holds the port. */
export function findPortHolder(port: number): string | undefined {
  const sockets = socketsAt(port);
  for (const pid of tryRead(() => readdirSync('/proc'))?.filter((name) => /^\d+$/.test(name)) ?? []) {
    const open = tryRead(() => readdirSync(`/proc/${pid}/fd`)) ?? [];
    const isHolder = open.some((fd) =>
      sockets.has(tryRead(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? ''),
    );
    if (!isHolder) continue;
    const folder = tryRead(() => readlinkSync(`/proc/${pid}/cwd`));
    const name = readCommandLine(Number(pid))?.slice(0, MAX_COMMAND_CHARACTERS) ?? 'a program';
    return `${name} (process ${pid}${folder ? `, in ${folder}` : ''})`;
  }
  return undefined;
}

/**
 * Whether only the kernel holds this TCP port, for a closed connection. Linux keeps the port of an outgoing connection
 * from listeners for a minute after the close.
 */
export function isPortClosing(port: number): boolean {
  const rows = rowsAt(port);
  return rows.length > 0 && rows.every(([, , , state]) => state === TIME_WAIT);
}

/** An error message contains the command with its first arguments. */
const MAX_COMMAND_CHARACTERS = 120;

/** The command line of a process; undefined if the process has exited, or the system has no /proc. */
export function readCommandLine(pid: number): string | undefined {
  const text = tryRead(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  return text?.replaceAll('\0', ' ').trim() || undefined;
}

/** The sockets at this port, as links in /proc name them: the listening one, else those of connections. */
function socketsAt(port: number): Set<string> {
  const rows = rowsAt(port);
  const listening = rows.filter(([, , , state]) => state === LISTEN);
  const inodes = (listening.length > 0 ? listening : rows).map((row) => row[9] ?? '0');
  return new Set(inodes.filter((inode) => inode !== '0').map((inode) => `socket:[${inode}]`));
}

/** The rows of the kernel's tables with this local port: number, local and remote address, state and so on. */
function rowsAt(port: number): string[][] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return ['tcp', 'tcp6']
    .flatMap(
      (table) =>
        tryRead(() => readFileSync(`/proc/net/${table}`, 'utf8'))
          ?.split('\n')
          .slice(1) ?? [],
    )
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '']) => local.endsWith(`:${hex}`));
}

/** A process may exit meanwhile, and those of other users are unreadable. */
function tryRead<T>(operation: () => T): T | undefined {
  try {
    return operation();
  } catch {
    return undefined;
  }
}
