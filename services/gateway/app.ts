import compression from 'compression';
import type { Express } from 'express';
import { fileURLToPath } from 'node:url';
import { unknownRoute } from '../shared/problem.ts';
import { createService, type ServiceDeps } from '../shared/service.ts';
import { accessTokens, type VerifyToken } from './auth.ts';
import { docsPage, documents } from './docs.ts';
import { edge } from './edge.ts';
import { crossOrigin, dataHeaders } from './headers.ts';
import { createGrpcServer, type GrpcServer } from './grpc/server.ts';
import { health } from './health.ts';
import type { HitStore } from './hit-store.ts';
import { liveOrders, type LiveOrders } from './live-orders.ts';
import { liveUpdates } from './live-updates.ts';
import { rateLimits, type Limits, type RateLimits } from './limits.ts';
import { orderStream } from './order-stream.ts';
import { DESCRIPTIONS, routes } from './routes.ts';

export interface GatewayDeps extends ServiceDeps {
  now: () => Date;
  hits: HitStore;
  limits: Limits;
  /** Origins of web pages that may call; none: only those that the gateway serves itself. */
  corsOrigins: readonly string[];
  /** Addresses of proxies whose `X-Forwarded-For` is believed, as https://expressjs.com/en/guide/behind-proxies.html has them. */
  trustedProxies: readonly string[];
  /** Aborted: streams end, so that the process can. */
  stopping: AbortSignal;
}

/** What both doors of the gateway, HTTP and gRPC, ask before they let anyone in. */
export interface Gate {
  verify: VerifyToken;
  limits: RateLimits;
  live: LiveOrders;
}

export function createGate(deps: GatewayDeps): Gate {
  return {
    verify: accessTokens(deps),
    limits: rateLimits(deps.limits, deps.hits, deps.now),
    live: liveOrders(deps.sidecar),
  };
}

export function createApp(deps: GatewayDeps, gate: Gate = createGate(deps)): Express {
  const { log, sidecar, metrics, appApiToken, stopping } = deps;
  const { verify, limits, live } = gate;
  // The world calls the gateway, not its sidecar: only what the sidecar brings has its token.
  const app = createService(
    { log, sidecar, metrics },
    {
      unparsed: [
        liveUpdates({ log, live, appApiToken }),
        dataHeaders(),
        crossOrigin(deps.corsOrigins),
        compression({
          filter: (req, res) => !isStream(res.getHeader('content-type')) && compression.filter(req, res),
        }),
        edge(routes, {
          sidecar,
          verify,
          limits,
          own: {
            ...documents(DESCRIPTIONS),
            'GET /health': health(sidecar),
            'GET /api/orders/:id/stream': orderStream({ live, verify, stopping }),
          },
        }),
        limits.handler('default'),
        docsPage(),
        unknownRoute,
      ],
      routers: [],
    },
  );
  app.set('trust proxy', [...deps.trustedProxies]);
  return app;
}

const isStream = (type: unknown) => String(type).startsWith('text/event-stream');

/** The other door. */
export function createGrpc(deps: GatewayDeps, { verify, limits, live }: Gate): GrpcServer {
  return createGrpcServer({
    ...deps,
    verify,
    limit: (caller) => limits.count('api', caller.id),
    watch: live.watch,
    isReady: deps.sidecar.isReady,
    protoDir: fileURLToPath(new URL('grpc', import.meta.url)),
  });
}
