import express, { type Express } from 'express';
import { errorHandler, unknownRoute } from '../../shared/problem.ts';
import { probes, type ServiceDeps } from '../../shared/service.ts';

/**
 * Creates the app of `/healthz`, `/readyz` and `/metrics`. They have their own port, because load and failures of the shop are
 * not public.
 */
export function createOperatorApp(deps: Pick<ServiceDeps, 'log' | 'sidecar' | 'metrics'>): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(probes(deps));
  app.use(unknownRoute);
  app.use(errorHandler(deps.log));
  return app;
}
