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

/** The listeners of a server beside its own. */
const others = new WeakMap<Server, NetServer[]>();

/**
 * Listens; resolves when connections are taken. What the start has left behind is given back before.
 *
 * @throws Error EADDRINUSE where another program has the port
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
  // Where ports cannot be shared (macOS, Windows, old kernels), one listener has to do.
  if (!isShared) await take(server, taken, host, false);
  const more = Array.from({ length: isShared ? LISTENERS - 1 : 0 }, () =>
    // As an HTTP server treats its own: https://nodejs.org/api/http.html#event-connection.
    createNetServer({ noDelay: true, allowHalfOpen: true }, (socket) => server.emit('connection', socket)),
  );
  // Node.js before 22.12 takes the option and does nothing: there, too, the first one has to do.
  await Promise.all(more.map((one) => take(one, taken, host, true).catch(() => {})));
  others.set(server, more);
  return server;
}

/**
 * Loading modules makes V8's heap grow to twice what a service needs at rest, and V8 itself keeps that for minutes. `--expose-gc` in
 * dapr.yaml gives us the function; without it nothing happens. See services/decisions/0112-memory-at-rest.md.
 */
function giveMemoryBack(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/** The port, or one that is free for 0. Two programs whose listeners share their ports would share one without an error. */
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
 * What `read` gives. Where it fails, its message goes to standard error, without a stack trace, and the process ends with 1: for
 * what is read at start, and what only the one who starts the process can put right.
 */
export async function orStop<T>(process: NodeJS.Process, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return process.exit(1);
  }
}

/** Aborted on SIGTERM and SIGINT: for what would never end by itself, such as a stream. Comes before `stopGracefully`. */
export function stopSignal(process: NodeJS.Process): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopping.abort());
  return stopping.signal;
}

/** How often a server that is closing looks for connections that have become idle. Milliseconds. */
const LOOK_FOR_IDLE = 50;

/** How long callers have to leave a server that is about to close. Milliseconds. */
export const LEAVE_WITHIN = 2_000;

/**
 * Asks callers to come back on another connection (`Connection: close`, RFC 9112, 9.6), and closes the server when they have left, or
 * after two seconds. A caller that sends a request on a connection while the server closes it gets no answer.
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

/** Takes no new connections, and resolves when what is in flight is answered. */
export async function closeServer(server: Server): Promise<void> {
  // Kept connections do not end by themselves, and those in use now become idle later.
  const looking = setInterval(() => server.closeIdleConnections(), LOOK_FOR_IDLE);
  for (const one of others.get(server) ?? []) one.close();
  await new Promise((resolve) => void server.close(resolve));
  clearInterval(looking);
}

/** What is under way may take this long to end after SIGTERM. Milliseconds. */
export const STOP_TIMEOUT = 10_000;

/**
 * On SIGTERM or SIGINT: closes all `doors` at once, so that nothing new comes in and what is in flight can finish, then
 * runs `closers` in their order. Exits 0; 1 where that took longer than ten seconds.
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
 * Tries until it works, once a second: for what a service sets up at its first start and cannot work without. The
 * service answers `/readyz` with 503 meanwhile.
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
