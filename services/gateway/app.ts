import type { Express } from 'express';
import { unknownRoute } from '../shared/problem.ts';
import { createService, type ServiceDeps } from '../shared/service.ts';
import { accessTokens } from './auth.ts';
import { docs } from './docs.ts';
import { edge } from './edge.ts';
import { health } from './health.ts';
import { routes } from './routes.ts';

/** The world calls the gateway, not its sidecar: there is no token to expect. */
export interface GatewayDeps extends Omit<ServiceDeps, 'appApiToken'> {
  now: () => Date;
}

export function createApp(deps: GatewayDeps): Express {
  return createService(deps, {
    unparsed: [
      edge(routes, { sidecar: deps.sidecar, verify: accessTokens(deps) }),
      health(deps.sidecar),
      docs(routes),
      unknownRoute,
    ],
    routers: [],
  });
}
