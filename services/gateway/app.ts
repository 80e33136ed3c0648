import compression from 'compression';
import type { Express } from 'express';
import { fileURLToPath } from 'node:url';
import { unknownRoute } from '../shared/problem.ts';
import { createService, type ServiceDeps } from '../shared/service.ts';
import { docsPage, documents } from './http/docs.ts';
import { edge, targetLimit } from './http/edge.ts';
import { createGate, type Gate } from './auth/gate.ts';
import { crossOrigin, dataHeaders } from './http/headers.ts';
import { createGrpcServer, type GrpcServer } from './grpc/server.ts';
import { health } from './http/health.ts';
import type { HitStore } from './limits/hit-store.ts';
import { liveUpdates } from './order-updates/live-updates.ts';
import type { Limits } from './limits/limits.ts';
import { orderStream } from './order-updates/order-stream.ts';
import { DESCRIPTIONS, routes } from './routes.ts';

export interface GatewayDeps extends ServiceDeps {
  now: () => Date;
  /** Monotonic milliseconds, for ages and durations. */
  clock: () => number;
  hits: HitStore;
  limits: Limits;
  /** Origins of web pages that may call the API. Pages of the gateway itself always may. */
  corsOrigins: readonly string[];
  /** Proxies whose `X-Forwarded-For` is trusted, in the syntax of https://expressjs.com/en/guide/behind-proxies.html. */
  trustedProxies: readonly string[];
  /** Ends all streams when the process stops. */
  stopping: AbortSignal;
}

export function createApp(deps: GatewayDeps, gate: Gate = createGate(deps)): Express {
  const { log, sidecar, appApiToken, stopping } = deps;
  const { limits, live } = gate;
  return createService(deps, {
    isPublic: true,
    unparsed: [
      liveUpdates({ log, live, appApiToken }),
      dataHeaders(),
      crossOrigin(deps.corsOrigins),
      targetLimit,
      // Skips responses with `no-transform`: streams, and responses with an entity tag.
      compression(),
      edge(routes, {
        sidecar,
        gate,
        own: {
          ...documents(DESCRIPTIONS),
          'GET /health': health(sidecar),
          'GET /api/orders/:id/stream': orderStream({ gate, stopping }),
        },
      }),
      limits.handlers.default,
      docsPage(),
      unknownRoute,
    ],
    routers: [],
  });
}

/** Creates the gRPC server of the gateway. */
export function createGrpc(deps: GatewayDeps, gate: Gate): GrpcServer {
  return createGrpcServer({
    ...deps,
    gate,
    isReady: deps.sidecar.isReady,
    protoDir: fileURLToPath(new URL('grpc', import.meta.url)),
  });
}
