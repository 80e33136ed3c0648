import type { RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createNetServer, type AddressInfo, type Server as NetServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createHttpServer, type HttpOptions } from './http-server.ts';
import type { Logger } from './log.ts';

/** Connections that wait to be accepted: more than Node's default of 511 (services/decisions/0128-admission-control.md). */
const BACKLOG = 4_096;

/**
 * Listeners per port (SO_REUSEPORT). A turn of the event loop accepts one connection per listener
 * (services/decisions/0128-admission-control.md).
 */
const LISTENERS = 16;

/** The additional listeners of a server. */
const others = new WeakMap<Server, NetServer[]>();

/**
 * Starts a server, and resolves when it accepts connections. It first releases the memory that loading has left.
 *
 * @throws Error EADDRINUSE if another program uses the port
 */
export async function listen(
  app: RequestListener,
  port: number,
  host: string,
  options: HttpOptions = {},
): Promise<Server> {
  giveMemoryBack();
  const server = createHttpServer(app, options);
  const taken = await freePort(port, host);
  const isShared = await take(server, taken, host, true).then(
    () => true,
    () => false,
  );
  // macOS, Windows and old kernels cannot share ports, so they get one listener.
  if (!isShared) await take(server, taken, host, false);
  const more = Array.from({ length: isShared ? LISTENERS - 1 : 0 }, () =>
    // The options of Node's HTTP server: https://nodejs.org/api/http.html#event-connection.
    createNetServer({ noDelay: true, allowHalfOpen: true }, (socket) => server.emit('connection', socket)),
  );
  // Node.js before 22.12 ignores `reusePort`, so the additional listeners fail.
  await Promise.all(more.map((one) => take(one, taken, host, true).catch(() => {})));
  others.set(server, more);
  return server;
}

/**
 * Collects the garbage that loading modules has left, which V8 would keep for minutes
 * (services/decisions/0112-memory-at-rest.md). Without `--expose-gc` (see dapr.yaml), it does nothing.
 */
function giveMemoryBack(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/** Checks that the port is free, and resolves 0 to a free port. Without the check, two programs could share the port. */
async function freePort(port: number, host: string): Promise<number> {
  const alone = createNetServer();
  await take(alone, port, host, false);
  const { port: free } = alone.address() as AddressInfo;
  await new Promise((resolve) => void alone.close(resolve));
  return free;
}

function take(server: NetServer, port: number, host: string, reusePort: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, backlog: BACKLOG, reusePort }, resolve);
  });
}

/**
 * Returns the result of `read`. If it throws, the process prints the message without a stack trace and exits with 1. Commands
 * use it for their environment and arguments, which only the user can correct.
 */
export async function orStop<T>(process: NodeJS.Process, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return process.exit(1);
  }
}

/** A signal that aborts on SIGTERM and SIGINT, for work without an end, such as streams. Call it before `stopGracefully`. */
export function stopSignal(process: NodeJS.Process): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopping.abort());
  return stopping.signal;
}

/** The interval, in milliseconds, at which a closing server closes idle connections. */
const LOOK_FOR_IDLE = 50;

/** How long a closing server waits for callers to close their connections. Milliseconds. */
export const LEAVE_WITHIN = 2_000;

/**
 * Sends `Connection: close` (RFC 9112, 9.6) with every response, and closes the server when all callers have left, or after two
 * seconds. Otherwise a request that arrives while the server closes its connection would get no response.
 */
export async function drainServer(server: Server): Promise<void> {
  server.prependListener('request', (_req, res: ServerResponse) => void res.setHeader('connection', 'close'));
  const deadline = performance.now() + LEAVE_WITHIN;
  while ((await connectionsOf(server)) > 0 && performance.now() < deadline) await delay(LOOK_FOR_IDLE);
  await closeServer(server);
}

async function connectionsOf(server: Server): Promise<number> {
  const all = [server, ...(others.get(server) ?? [])];
  const counts = await Promise.all(all.map((one) => promisify(one.getConnections.bind(one))()));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Stops accepting connections, and resolves when all requests in progress are answered. */
export async function closeServer(server: Server): Promise<void> {
  // Keep-alive connections stay open when their requests are answered.
  const looking = setInterval(() => server.closeIdleConnections(), LOOK_FOR_IDLE);
  for (const one of others.get(server) ?? []) one.close();
  await new Promise((resolve) => void server.close(resolve));
  clearInterval(looking);
}

/** How long requests in progress may take after SIGTERM. Milliseconds. */
export const STOP_TIMEOUT = 10_000;

/**
 * On SIGTERM or SIGINT, closes all `doors` at once, which lets requests in progress finish, and then runs `closers` in order.
 * The process exits with 0, or with 1 after ten seconds.
 */
export function stopGracefully(
  process: NodeJS.Process,
  doors: readonly (() => Promise<unknown>)[],
  log: Logger,
  ...closers: (() => Promise<unknown>)[]
): void {
  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => process.exit(1), STOP_TIMEOUT).unref();
    await Promise.all(doors.map((close) => close()));
    for (const close of closers)
      await close().catch((err: unknown) => log.warn({ err }, 'closing a resource failed'));
    process.exit(0);
  };
  process.on('SIGTERM', (signal) => void stop(signal));
  process.on('SIGINT', (signal) => void stop(signal));
}

/**
 * Repeats `attempt` once a second until it succeeds. Services use it for data that they create at their first start. Until then
 * `/readyz` answers 503.
 */
export async function untilDone(what: string, log: Logger, attempt: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      log.info({ reason: String(error) }, `${what} failed; retrying in 1 s`);
      await delay(1_000);
    }
  }
}
