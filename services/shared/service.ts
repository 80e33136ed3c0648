import express, { type Express, type Request, type RequestHandler, type Router } from 'express';
import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import type { ServiceDescription } from './api.ts';
import { asyncApi } from './asyncapi.ts';
import { addRequestFields, requestIdFrom, resumeTrace, runInRequest } from './context.ts';
import type { Logger } from './log.ts';
import { keptFor } from './kept-for.ts';
import { openApi } from './openapi.ts';
import { errorHandler, Problem, sendProblem, unavailable, unknownRoute } from './problem.ts';
import type { Sidecar } from './sidecar.ts';

/** What every service is made of; each adds its own collaborators. */
export interface ServiceDeps {
  log: Logger;
  sidecar: Sidecar;
  /** The sidecar sends it with every call: https://docs.dapr.io/operations/security/app-api-token/. */
  appApiToken: string;
  /** Where this service's metrics are counted; `GET /metrics` shows them. */
  metrics: Registry;
}

/** The event loop is asked so often how late it is. By default every 10 ms: most of what an idle service did. Milliseconds. */
const LAG_EVERY = 100;

/** A registry with the process's own metrics in it; its percentiles of `nodejs_eventloop_lag` are 0.1 s where nothing is late. */
export function createMetrics(): Registry {
  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics, eventLoopMonitoringPrecision: LAG_EVERY });
  return metrics;
}

export interface ServiceParts {
  /** Where there is one, `/openapi.json` and `/asyncapi.json` tell it. */
  description?: ServiceDescription;
  routers: (Router | RequestHandler)[];
  /** Those that read the body themselves; they come before the one that takes JSON only. */
  unparsed?: (Router | RequestHandler)[];
  isReady?: () => boolean;
  /** The port is open to the world: not only the sidecar may call, and `/readyz` and `/metrics` are elsewhere. */
  isPublic?: true;
}

/**
 * A service's Express app: what all of them share around `routers`, which come in their order.
 *
 * - request id (taken over from `X-Request-Id` or made) and trace context for all that follows
 * - one log line and one metric a request
 * - `/healthz` (the process lives), `/readyz` (it can work: the sidecar and `isReady`), `/metrics`
 * - `/openapi.json` and `/asyncapi.json`: what it offers and what it says
 * - calls only from the sidecar, by `APP_API_TOKEN`, for all routers; unless the service is public
 * - JSON bodies up to 100 KB for `routers`; problem documents for everything that goes wrong
 */
export function createService(
  deps: ServiceDeps,
  { description, routers, isPublic, unparsed = [], isReady }: ServiceParts,
): Express {
  const { log, metrics } = deps;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(inRequest(log, metrics));
  if (isPublic) app.get('/healthz', isAlive);
  else app.use(probes(deps, isReady));
  if (description) app.use(documents(description));
  if (!isPublic) app.use(onlyFromSidecar(deps.appApiToken));
  for (const router of unparsed) app.use(router);
  // Subscriptions are declared in components/, so that they show without the code.
  app.get('/dapr/subscribe', (_req, res) => void res.json([]));
  app.use(express.json(JSON_OR_NONE));
  app.use('/job', inTraceOfJob);
  for (const router of routers) app.use(router);
  app.use(unknownRoute);
  app.use(errorHandler(log));
  return app;
}

const isAlive: RequestHandler = (_req, res) => void res.json({ status: 'ok' });

/** What asks how a service is: `/healthz`, `/readyz` and `/metrics`. */
export function probes(
  { sidecar, metrics }: Pick<ServiceDeps, 'sidecar' | 'metrics'>,
  isReady: () => boolean = () => true,
): Router {
  const router = express.Router();
  // A sidecar's metrics are a long page.
  const openBreakers = keptFor(1_000, sidecar.openBreakers);
  router.get('/healthz', isAlive);
  router.get('/readyz', async (_req, res) => {
    const [hasSidecar, breakers] = await Promise.all([sidecar.isReady(), openBreakers()]);
    const more = breakers.length > 0 ? { open_breakers: breakers } : {};
    if (isReady() && hasSidecar) res.json({ status: 'ready', ...more });
    else sendProblem(res, unavailable('The service is starting, or its sidecar is unavailable.'), more);
  });
  router.get(
    '/metrics',
    async (_req, res) => void res.type(metrics.contentType).send(await metrics.metrics()),
  );
  return router;
}

function documents(description: ServiceDescription): Router {
  const router = express.Router();
  router.get(
    '/openapi.json',
    documentMadeOnce(() => openApi([description], 'sidecar')),
  );
  router.get(
    '/asyncapi.json',
    documentMadeOnce(() => asyncApi([description])),
  );
  return router;
}

/** Answers with a JSON document that is made when it is first asked for: nobody should pay for it at every start. */
export function documentMadeOnce(make: () => unknown): RequestHandler {
  let made: string | undefined;
  return (_req, res) => {
    made ??= JSON.stringify(make());
    res.type('json').send(made);
  };
}

/** Puts each request into a context of its own, and tells of it when it ends. */
function inRequest(log: Logger, metrics: Registry): RequestHandler {
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Duration of HTTP requests in seconds',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers: [metrics],
  });
  return (req, res, next) => {
    const started = performance.now();
    const requestId = requestIdFrom(req.get('x-request-id'));
    res.set('x-request-id', requestId);
    runInRequest(req.headers, { request_id: requestId }, () => {
      // Also where the caller left before the end.
      res.once('close', () => {
        const seconds = (performance.now() - started) / 1000;
        const route = routeOf(req);
        duration.observe({ method: req.method, route, status: res.statusCode }, seconds);
        if (PROBES.has(route)) return;
        const path = req.originalUrl.split('?')[0];
        const ms = Math.round(seconds * 10_000) / 10;
        const left = res.writableFinished ? {} : { left: true };
        log.info({ method: req.method, path, status: res.statusCode, ms, ...left }, 'request completed');
      });
      next();
    });
  };
}

/** A job that fires goes on with the trace in which it was set: `Sidecar.schedule` has put it into the body. */
const inTraceOfJob: RequestHandler = (req, _res, next) => {
  const { traceparent } = (req.body ?? {}) as { traceparent?: unknown };
  if (typeof traceparent === 'string') resumeTrace({ traceparent }, next);
  else next();
};

const PROBES = new Set(['/healthz', '/readyz', '/metrics']);

/** The route's pattern, not its address: addresses have no bound, and each would be a metric of its own. */
function routeOf(req: Request): string {
  const path: unknown = (req.route as { path?: unknown } | undefined)?.path;
  return typeof path === 'string' ? path : 'none';
}

/** Dapr sends the token that app and sidecar were started with; nobody else has it. */
export function onlyFromSidecar(token: string): RequestHandler {
  const expected = Buffer.from(token);
  return (req, _res, next) => {
    const given = Buffer.from(req.get('dapr-api-token') ?? '');
    if (given.length !== expected.length || !timingSafeEqual(given, expected))
      throw new Problem(401, 'unauthenticated', 'Only the sidecar may call this service.');
    next();
  };
}

export const BODY_LIMIT = 100 * 1024;

/**
 * How Express's parsers take a body: JSON or none. Only its bytes tell whether there is one: a client may name a type for
 * nothing, and a sidecar passes nothing on as chunked.
 */
export const JSON_OR_NONE = {
  type: () => true,
  limit: BODY_LIMIT,
  /** @throws Problem 415 */
  verify(req: IncomingMessage, _res: unknown, body: Buffer): void {
    if (body.length > 0 && !(req as Request).is(['json', '+json']))
      throw new Problem(415, 'unsupported-media-type', 'Send the body as application/json.');
  },
};

/** Names the order in all further log lines of this request. */
export function aboutOrder(orderId: string): void {
  addRequestFields({ order_id: orderId });
}
