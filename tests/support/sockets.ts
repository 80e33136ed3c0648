import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readTextOrEmpty } from '../../deploy/local/machine/paths.ts';
import { readCommandLine as commandLineOf } from '../../deploy/local/machine/port-holder.ts';

/** A socket that accepts connections or UDP packets, such as `127.0.0.1:8080`. */
export interface Listener {
  address: string;
  port: number;
  /** The command line of the process. */
  command: string;
}

/** The kernel's states of a listening TCP socket and of a UDP socket without a peer. */
const LISTEN_STATES = { tcp: '0A', udp: '07' };

/**
 * The sockets on which a process and its descendants listen. Linux only: proc(5). A UDP socket on an ephemeral port is left
 * out, because it belongs to a client, such as a DNS resolver.
 */
export function listenersOf(pid: number): Listener[] {
  const open = new Map<string, Omit<Listener, 'command'>>();
  for (const [table, state] of Object.entries(LISTEN_STATES))
    for (const family of ['', '6'])
      for (const line of readFileSync(`/proc/net/${table}${family}`, 'utf8').split('\n').slice(1)) {
        const [, local = '', , socketState, , , , , , inode = ''] = line.trim().split(/\s+/);
        if (socketState !== state) continue;
        const [address = '', port = ''] = local.split(':');
        if (table === 'udp' && parseInt(port, 16) >= firstEphemeral()) continue;
        open.set(inode, { address: addressOf(address), port: parseInt(port, 16) });
      }
  return descendantsOf(pid).flatMap((descendant) => {
    const mine = socketsOf(descendant).flatMap((inode) => open.get(inode) ?? []);
    const unique = new Map(mine.map((socket) => [`${socket.address} ${socket.port}`, socket]));
    return [...unique.values()].map((socket) => ({ ...socket, command: commandOf(descendant) }));
  });
}

const firstEphemeral = () => parseInt(readTextOrEmpty('/proc/sys/net/ipv4/ip_local_port_range'), 10);

/** The process and its living descendants. */
export function descendantsOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    // The name of the program, in brackets, may contain spaces.
    const [, parent] =
      /\) \S (\d+) /.exec(/^\d+$/.test(name) ? readTextOrEmpty(`/proc/${name}/stat`) : '') ?? [];
    if (parent) children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(name)]);
  }
  const from = (one: number): number[] => [one, ...(children.get(one) ?? []).flatMap(from)];
  return from(pid);
}

/** The command line of a process; '' if it has ended. */
export const commandOf = (pid: number): string => commandLineOf(pid) ?? '';

/** The environment that a process was started with. */
export const environmentOf = (pid: number): string => readTextOrEmpty(`/proc/${pid}/environ`);

function socketsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${fd}`)) ?? [];
      return inode ?? [];
    });
  } catch {
    return [];
  }
}

/** The kernel writes words of four bytes in the byte order of the machine. */
function addressOf(hex: string): string {
  const bytes = hex.match(/.{8}/g)!.flatMap((word) => word.match(/../g)!.toReversed());
  if (bytes.length === 4) return bytes.map((byte) => parseInt(byte, 16)).join('.');
  const groups = Array.from({ length: 8 }, (_, group) => bytes.slice(2 * group, 2 * group + 2).join(''));
  const text = groups.map((group) => parseInt(group, 16).toString(16)).join(':');
  return text === '0:0:0:0:0:0:0:1' ? '::1' : text.replace(/^0:0:0:0:0:ffff:7f00:1$/, '127.0.0.1');
}

function link(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
