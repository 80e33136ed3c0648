import { getChannelzHandlers, Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { promisify } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { measureConnections } from '../../shared/telemetry/common-metrics.ts';
import type { Logger } from '../../shared/telemetry/logger.ts';
import type { Metrics } from '../../shared/telemetry/metrics.ts';
import { unavailable } from '../../shared/http/problem.ts';
import { BODY_LIMIT_BYTES } from '../../shared/runtime/service-app.ts';
import { toGrpcError } from './errors.ts';
import { createAuthenticatedHandlers, type AuthenticatedHandlersDeps } from './authenticated-handlers.ts';
import { contextInterceptor, metricsInterceptor } from './interceptors.ts';
import { createCallLimiter } from './call-limiter.ts';
import { createOrderService, type OrderServiceDeps } from './order-service.ts';
import { loadProtocol, ORDER_SERVICE } from './protocol.ts';
import { reflection } from './reflection.ts';

export interface GrpcDeps extends OrderServiceDeps {
  accessControl: AuthenticatedHandlersDeps['accessControl'];
  log: Logger;
  /** The share of successful calls that are logged; 1 by default. */
  logSampleRatio?: (() => number) | undefined;
  metrics: Metrics;
  isReady: () => Promise<boolean>;
  /** The folder of order_service.proto. */
  protoDir: string;
}

export interface GrpcServer {
  /** Resolves to the port when the server accepts calls; 0 selects a free port. @throws Error if the port is in use */
  listen: (port: number, host: string) => Promise<number>;
  /** Ends streams with UNAVAILABLE. Other calls have five seconds to finish. */
  stop: () => Promise<void>;
}

const OPTIONS = {
  'grpc.max_receive_message_length': BODY_LIMIT_BYTES,
  'grpc.max_concurrent_streams': 200,
  // Closes dead and idle connections. Milliseconds.
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_connection_idle_ms': 300_000,
};

const STOP_TIMEOUT_MS = 5_000;
const HEALTH_INTERVAL_MS = 5_000;

/**
 * Creates the gRPC server of the gateway: `sidecart.v1.OrderService` for callers with an access token, and health
 * (https://grpc.io/docs/guides/health-checking/) and reflection for everyone. Like the HTTP server, it has no TLS.
 */
export function createGrpcServer(deps: GrpcDeps): GrpcServer {
  const { log, logSampleRatio = () => 1, metrics, isReady, protoDir } = deps;
  const { orderService: definition, encode, definitions } = loadProtocol(protoDir);
  const calls = createCallLimiter(() =>
    toGrpcError(unavailable('Too many calls are open. Try again later.'), encode),
  );
  const server = new Server({
    ...OPTIONS,
    // In the order from the connection to the handler.
    interceptors: [contextInterceptor(log, logSampleRatio), metricsInterceptor(metrics), calls.interceptor],
  });
  server.addService(definition, createOrderService(createAuthenticatedHandlers({ ...deps, encode }), deps));
  reflection(definitions).addToServer(server);
  const health = new HealthImplementation();
  health.addToServer(server);
  measureConnections(metrics, 'grpc', () => connectionsOf(server));
  let isStopping = false;
  let healthTimer: NodeJS.Timeout | undefined;

  function setServingStatus(status: 'SERVING' | 'NOT_SERVING'): void {
    for (const service of ['', ORDER_SERVICE]) health.setStatus(service, status);
  }

  async function refreshHealth(): Promise<void> {
    const ready = await isReady().catch(() => false);
    setServingStatus(ready && !isStopping ? 'SERVING' : 'NOT_SERVING');
  }

  return {
    async listen(port, host) {
      setServingStatus('NOT_SERVING');
      void refreshHealth();
      healthTimer = setInterval(() => void refreshHealth(), HEALTH_INTERVAL_MS).unref();
      const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
      return promisify(server.bindAsync.bind(server))(address, ServerCredentials.createInsecure());
    },
    async stop() {
      isStopping = true;
      clearInterval(healthTimer);
      setServingStatus('NOT_SERVING');
      calls.endStreams(toGrpcError(unavailable('The server is stopping. Reconnect and try again.'), encode));
      const stopped = promisify(server.tryShutdown.bind(server))();
      await Promise.race([stopped, delay(STOP_TIMEOUT_MS, undefined, { ref: false })]);
      server.forceShutdown();
    },
  };
}

/** More connections are not counted. */
const MAX_COUNTED_CONNECTIONS = 10_000;

/** The open connections, from the server's own records: https://grpc.io/blog/a-short-introduction-to-channelz/. */
function connectionsOf(server: Server): Promise<number> {
  const request = { server_id: server.getChannelzRef().id, max_results: MAX_COUNTED_CONNECTIONS };
  type Handler = (
    call: { request: object },
    done: (error: unknown, page?: { socket_ref: unknown[] }) => void,
  ) => void;
  const getServerSockets = getChannelzHandlers().GetServerSockets as unknown as Handler;
  return new Promise((resolve) =>
    getServerSockets({ request }, (_error, page) => resolve(page?.socket_ref.length ?? 0)),
  );
}
