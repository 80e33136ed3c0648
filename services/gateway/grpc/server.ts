import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { promisify } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import type { Registry } from 'prom-client';
import type { Logger } from '../../shared/log.ts';
import { unavailable } from '../../shared/problem.ts';
import { BODY_LIMIT } from '../../shared/service.ts';
import { failureOf } from './failure.ts';
import type { Gate } from '../auth/gate.ts';
import { guard, type GuardDeps } from './guard.ts';
import { inRequest, measured } from './interceptors.ts';
import { openCalls } from './open-calls.ts';
import { orderService, type OrderServiceDeps } from './order-service.ts';
import { loadProtocol, ORDER_SERVICE } from './protocol.ts';
import { reflection } from './reflection.ts';

export interface GrpcDeps extends Omit<OrderServiceDeps, 'watch'> {
  gate: GuardDeps['gate'] & Pick<Gate, 'live'>;
  log: Logger;
  /** The registry of `grpc_server_handling_seconds`. */
  metrics: Registry;
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
  'grpc.max_receive_message_length': BODY_LIMIT,
  'grpc.max_concurrent_streams': 200,
  // Closes dead and idle connections. Milliseconds.
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_connection_idle_ms': 300_000,
};

/** Milliseconds. */
const STOP_TIMEOUT = 5_000;
const LOOK_EVERY = 5_000;

/**
 * Creates the gRPC server of the gateway: `sidecart.v1.OrderService` for callers with an access token, and health
 * (https://grpc.io/docs/guides/health-checking/) and reflection for everyone. Like the HTTP server, it has no TLS.
 */
export function createGrpcServer(deps: GrpcDeps): GrpcServer {
  const { log, metrics, isReady, protoDir } = deps;
  const { orderService: definition, encode, definitions } = loadProtocol(protoDir);
  const calls = openCalls(() => failureOf(unavailable('Too many calls are open. Try again later.'), encode));
  const server = new Server({
    ...OPTIONS,
    // In the order from the connection to the handler.
    interceptors: [inRequest(log), measured(metrics), calls.interceptor],
  });
  server.addService(
    definition,
    orderService(guard({ ...deps, encode }), { ...deps, watch: deps.gate.live.watch }),
  );
  reflection(definitions).addToServer(server);
  const health = new HealthImplementation();
  health.addToServer(server);
  let isStopping = false;
  let looking: NodeJS.Timeout | undefined;

  function tell(status: 'SERVING' | 'NOT_SERVING'): void {
    for (const service of ['', ORDER_SERVICE]) health.setStatus(service, status);
  }

  async function look(): Promise<void> {
    const ready = await isReady().catch(() => false);
    tell(ready && !isStopping ? 'SERVING' : 'NOT_SERVING');
  }

  return {
    async listen(port, host) {
      tell('NOT_SERVING');
      void look();
      looking = setInterval(() => void look(), LOOK_EVERY).unref();
      const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
      return promisify(server.bindAsync.bind(server))(address, ServerCredentials.createInsecure());
    },
    async stop() {
      isStopping = true;
      clearInterval(looking);
      tell('NOT_SERVING');
      calls.endStreams(failureOf(unavailable('The server is stopping. Reconnect and try again.'), encode));
      const stopped = promisify(server.tryShutdown.bind(server))();
      await Promise.race([stopped, delay(STOP_TIMEOUT, undefined, { ref: false })]);
      server.forceShutdown();
    },
  };
}
