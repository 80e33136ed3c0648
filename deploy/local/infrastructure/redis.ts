import { connect } from 'node:net';
import { installFromDebian } from '../programs/debian.ts';
import { folder } from '../machine/paths.ts';
import { demandFree } from '../machine/tcp-ports.ts';
import { output, start, waitFor, type Running } from '../machine/processes.ts';

/** Makes sure that there is a `redis-server`: the one of the machine, or, where we may, Debian's. */
export async function findOrInstallRedis(logDir: string, tell: (what: string) => void): Promise<void> {
  if (output('redis-server', '--version') !== undefined) return;
  const hint = 'Debian: sudo apt-get install redis-server; macOS: brew install redis';
  await installFromDebian('redis-server', { hint, logDir, tell });
}

/** Whether what listens there speaks Redis. */
export function speaksRedis(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write('PING\r\n'));
    const answer = (speaks: boolean) => {
      socket.destroy();
      resolve(speaks);
    };
    socket.setTimeout(1_000, () => answer(false));
    // One that wants a password is a Redis too, though not one for us: it fails later, with its own words.
    socket.once('data', (data) => answer(/^(\+PONG|-NOAUTH)/.test(data.toString())));
    socket.once('error', () => answer(false));
  });
}

/**
 * Everything is kept in a log, and the log is kept short: one that is killed reads it again before it works, which takes a
 * second for each 10 MB.
 */
const KEEP = [
  '--save',
  '',
  '--appendonly',
  'yes',
  '--auto-aof-rewrite-min-size',
  '8mb',
  '--auto-aof-rewrite-percentage',
  '50',
];

/** Starts a Redis on this port that keeps its data in `dataDir`. */
export async function startRedis(options: {
  port: number;
  dataDir: string;
  logDir: string;
  /** One more address to listen at, for other hosts. */
  address?: string | undefined;
}): Promise<Running> {
  const { port, dataDir, logDir, address } = options;
  await demandFree(port, 'Redis');
  const bind = ['--bind', '127.0.0.1', ...(address ? [address, '--protected-mode', 'no'] : [])];
  const args = ['--port', String(port), ...bind, '--dir', folder(dataDir, 'redis'), ...KEEP];
  const running = start('redis', 'redis-server', args, { logDir });
  await waitFor('Redis', () => speaksRedis(port), { process: running });
  return running;
}
