import express, { type Express } from 'express';
import { errorHandler, notFoundHandler } from '../../shared/http/problem.ts';
import { probes, type ServiceDeps } from '../../shared/runtime/service-app.ts';

/**
 * Creates the app of `/healthz`, `/readyz` and `/metrics`. They have their own port, because load and failures of the shop are
 * not public.
 */
export function createOperatorApp(deps: Pick<ServiceDeps, 'log' | 'sidecar' | 'metrics'>): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(probes(deps));
  app.use(notFoundHandler);
  app.use(errorHandler(deps.log));
  return app;
}
