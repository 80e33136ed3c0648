import compression from 'compression';
import type { Express } from 'express';
import { fileURLToPath } from 'node:url';
import { notFoundHandler } from '../shared/http/problem.ts';
import { createService, type ServiceDeps } from '../shared/runtime/service-app.ts';
import { docsPage, documents } from './http/docs.ts';
import { createApiRouter, targetLimit } from './http/api-router.ts';
import { createAccessControl, type AccessControl } from './auth/access-control.ts';
import { corsPolicy, apiSecurityHeaders } from './http/security-headers.ts';
import { createGrpcServer, type GrpcServer } from './grpc/server.ts';
import { health } from './http/health.ts';
import type { RateLimitStore } from './limits/rate-limit-store.ts';
import { createOrderUpdates, type OrderUpdates } from './order-updates/feed.ts';
import { createUpdateSubscription } from './order-updates/subscription.ts';
import type { Limits } from './limits/rate-limiter.ts';
import { createOrderStream } from './order-updates/sse.ts';
import { routes } from './routes.ts';
import { SERVICES } from '../services.ts';

export interface GatewayDeps extends ServiceDeps {
  now: () => Date;
  /** Monotonic milliseconds, for ages and durations. */
  clock: () => number;
  rateLimitStore: RateLimitStore;
  limits: () => Limits;
  /** Origins of web pages that may call the API. Pages of the gateway itself always may. */
  corsOrigins: readonly string[];
  /** Proxies whose `X-Forwarded-For` is trusted, in the syntax of https://expressjs.com/en/guide/behind-proxies.html. */
  trustedProxies: readonly string[];
  /** Ends all streams when the process stops. */
  stopping: AbortSignal;
}

export function createApp(
  deps: GatewayDeps,
  accessControl: AccessControl = createAccessControl(deps),
  updates: OrderUpdates = createOrderUpdates(deps.sidecar),
): Express {
  const { sidecar, stopping } = deps;
  const { limits } = accessControl;
  return createService(deps, {
    isPublic: true,
    rawRouters: [
      createUpdateSubscription({ ...deps, updates }),
      apiSecurityHeaders(),
      corsPolicy(deps.corsOrigins),
      targetLimit,
      // Skips responses with `no-transform`: streams, and responses with an entity tag.
      compression(),
      createApiRouter(routes, {
        sidecar,
        accessControl,
        localHandlers: {
          ...documents(SERVICES),
          'GET /health': health(sidecar),
          'GET /api/orders/:id/stream': createOrderStream({ accessControl, updates, stopping }),
        },
      }),
      limits.handlers.default,
      docsPage(),
      notFoundHandler,
    ],
    routers: [],
  });
}

/** Creates the gRPC server of the gateway. */
export function createGrpc(
  deps: GatewayDeps,
  accessControl: AccessControl,
  updates: OrderUpdates,
): GrpcServer {
  return createGrpcServer({
    ...deps,
    accessControl,
    watch: updates.watch,
    isReady: deps.sidecar.isReady,
    protoDir: fileURLToPath(new URL('grpc', import.meta.url)),
  });
}
