import express, { type Express } from 'express';
import { errorHandler, unknownRoute } from '../../shared/problem.ts';
import { probes, type ServiceDeps } from '../../shared/service.ts';

/**
 * What operators see of the gateway: `/healthz`, `/readyz` and `/metrics`. They have a port of their own, which is not for the
 * world: how busy a shop is, and which of its parts is out, is nobody else's business.
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
