import { connect } from 'node:net';
import { ensureFolder } from '../machine/paths.ts';
import { readOutput, startProcess, waitFor, type RunningProcess } from '../machine/processes.ts';
import { assertPortFree } from '../machine/tcp-ports.ts';
import { installFromDebian } from '../programs/debian.ts';

/** Finds `redis-server` on this machine, or installs it from Debian if this user may. */
export async function findOrInstallRedis(logDir: string, onProgress: (step: string) => void): Promise<void> {
  if (readOutput('redis-server', '--version') !== undefined) return;
  const hint = 'Debian: sudo apt-get install redis-server; macOS: brew install redis';
  await installFromDebian('redis-server', { hint, logDir, onProgress });
}

/** Whether a Redis listens at this port. */
export function isRedis(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write('PING\r\n'));
    const answer = (isRedisServer: boolean) => {
      socket.destroy();
      resolve(isRedisServer);
    };
    socket.setTimeout(1_000, () => answer(false));
    // A Redis with a password is also found. The services fail later, with the message of Redis.
    socket.once('data', (data) => answer(/^(\+PONG|-NOAUTH)/.test(data.toString())));
    socket.once('error', () => answer(false));
  });
}

/**
 * Redis writes every change to a log, and keeps the log short. After a kill it reads the log first, which takes one second
 * per 10 MB.
 */
const PERSISTENCE_FLAGS = [
  '--save',
  '',
  '--appendonly',
  'yes',
  '--auto-aof-rewrite-min-size',
  '8mb',
  '--auto-aof-rewrite-percentage',
  '50',
];

/** Starts a Redis on this port, with its data in `dataDir`. */
export async function startRedis(options: {
  port: number;
  dataDir: string;
  logDir: string;
  /** An additional address to listen at, for other hosts. */
  address?: string | undefined;
}): Promise<RunningProcess> {
  const { port, dataDir, logDir, address } = options;
  await assertPortFree(port, 'Redis');
  const bind = ['--bind', '127.0.0.1', ...(address ? [address, '--protected-mode', 'no'] : [])];
  const args = [
    '--port',
    String(port),
    ...bind,
    '--dir',
    ensureFolder(dataDir, 'redis'),
    ...PERSISTENCE_FLAGS,
  ];
  const running = startProcess('redis', 'redis-server', args, { logDir });
  await waitFor('Redis', () => isRedis(port), { process: running });
  return running;
}
