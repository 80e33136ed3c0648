import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Reads /proc, which only Linux has. On other systems these functions return no result, but do not fail. */

const LISTEN = '0A';
const TIME_WAIT = '06';

/** The process at this TCP port: `redis-server *:6379 (process 12, in /srv)`. Undefined if it is unknown, or only the kernel holds the port. */
export function findPortHolder(port: number): string | undefined {
  const pid = findPortOwners([port]).get(port);
  if (pid === undefined) return undefined;
  const folder = tryRead(() => readlinkSync(`/proc/${pid}/cwd`));
  const name = readCommandLine(pid)?.slice(0, MAX_COMMAND_CHARACTERS) ?? 'a program';
  return `${name} (process ${pid}${folder ? `, in ${folder}` : ''})`;
}

/** The ids of the processes at these TCP ports. Reading all processes takes a moment, so it happens once for all ports. */
export function findPortOwners(ports: readonly number[]): Map<number, number> {
  const portOf = new Map(
    ports.flatMap((port) => [...socketsAt(port)].map((socket) => [socket, port] as const)),
  );
  const owners = new Map<number, number>();
  for (const pid of tryRead(() => readdirSync('/proc'))?.filter((name) => /^\d+$/.test(name)) ?? [])
    for (const fd of tryRead(() => readdirSync(`/proc/${pid}/fd`)) ?? []) {
      const port = portOf.get(tryRead(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? '');
      if (port !== undefined && !owners.has(port)) owners.set(port, Number(pid));
    }
  return owners;
}

/**
 * Whether only the kernel holds this TCP port, for a closed connection. Linux keeps the port of an outgoing connection
 * from listeners for a minute after the close.
 */
export function isPortClosing(port: number): boolean {
  const rows = rowsAt(port);
  return rows.length > 0 && rows.every(([, , , state]) => state === TIME_WAIT);
}

/** Whether a program listens at this TCP port for other machines. */
export function isOpenToNetwork(port: number): boolean {
  return rowsAt(port).some(([, local = '', , state]) => state === LISTEN && !LOOPBACK.test(local));
}

/** 127.0.0.0/8 and ::1, also as an IPv4 address in IPv6. The kernel writes each group of four bytes backwards. */
const LOOPBACK = /^([0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F):/;

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
