import type { RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createNetServer, type AddressInfo, type Server as NetServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { measureConnections } from '../telemetry/common-metrics.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createHttpServer, type HttpOptions } from './server.ts';

/** Connections that wait to be accepted: more than Node's default of 511 (services/decisions/0128-admission-control.md). */
const BACKLOG = 4_096;

/**
 * Listeners per port (SO_REUSEPORT). A turn of the event loop accepts one connection per listener
 * (services/decisions/0128-admission-control.md).
 */
const LISTENERS = 16;

/** The additional listeners of a server. */
const extraListeners = new WeakMap<Server, NetServer[]>();

/**
 * Starts a server, and resolves when it accepts connections. It first releases the memory that loading has left.
 *
 * @param options.metrics gets the number of open connections
 * @throws Error EADDRINUSE if another program uses the port
 */
export async function listen(
  app: RequestListener,
  port: number,
  host: string,
  { metrics, ...options }: HttpOptions & { metrics?: Metrics } = {},
): Promise<Server> {
  collectGarbage();
  const server = createHttpServer(app, options);
  const taken = await freePort(port, host);
  const isShared = await bind(server, taken, host, true).then(
    () => true,
    () => false,
  );
  // macOS, Windows and old kernels cannot share ports, so they get one listener.
  if (!isShared) await bind(server, taken, host, false);
  const more = Array.from({ length: isShared ? LISTENERS - 1 : 0 }, () =>
    // The options of Node's HTTP server: https://nodejs.org/api/http.html#event-connection.
    createNetServer({ noDelay: true, allowHalfOpen: true }, (socket) => server.emit('connection', socket)),
  );
  // Node.js before 22.12 ignores `reusePort`, so the additional listeners fail.
  await Promise.all(more.map((one) => bind(one, taken, host, true).catch(() => {})));
  extraListeners.set(server, more);
  if (metrics) measureConnections(metrics, 'http', () => connectionsOf(server));
  return server;
}

/**
 * Collects the garbage that loading modules has left, which V8 would keep for minutes
 * (services/decisions/0112-memory-at-rest.md). Without `--expose-gc` (see dapr.yaml), it does nothing.
 */
function collectGarbage(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/** Checks that the port is free, and resolves 0 to a free port. Without the check, two programs could share the port. */
async function freePort(port: number, host: string): Promise<number> {
  const alone = createNetServer();
  await bind(alone, port, host, false);
  const { port: free } = alone.address() as AddressInfo;
  await new Promise((resolve) => void alone.close(resolve));
  return free;
}

function bind(server: NetServer, port: number, host: string, reusePort: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, backlog: BACKLOG, reusePort }, resolve);
  });
}

/** The interval at which a closing server closes idle connections. */
const IDLE_SWEEP_MS = 50;

/** How long a closing server waits for callers to close their connections. */
export const DRAIN_TIMEOUT_MS = 2_000;

/**
 * Sends `Connection: close` (RFC 9112, 9.6) with every response, and closes the server when all callers have left, or after two
 * seconds. Otherwise a request that arrives while the server closes its connection would get no response.
 */
export async function drainServer(server: Server): Promise<void> {
  server.prependListener('request', (_req, res: ServerResponse) => void res.setHeader('connection', 'close'));
  const deadline = performance.now() + DRAIN_TIMEOUT_MS;
  while ((await connectionsOf(server)) > 0 && performance.now() < deadline) await delay(IDLE_SWEEP_MS);
  await closeServer(server);
}

/** All listeners of a server. Each counts the connections that it has accepted. */
const listenersOf = (server: Server): NetServer[] => [server, ...(extraListeners.get(server) ?? [])];

async function connectionsOf(server: Server): Promise<number> {
  const counts = await Promise.all(
    listenersOf(server).map((one) => promisify(one.getConnections.bind(one))()),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Stops accepting connections, and resolves when all requests in progress are answered. */
export async function closeServer(server: Server): Promise<void> {
  // Keep-alive connections stay open when their requests are answered.
  const looking = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
  await Promise.all(listenersOf(server).map((one) => new Promise((resolve) => void one.close(resolve))));
  clearInterval(looking);
}
