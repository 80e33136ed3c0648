import express, {
  type Express,
  type Request,
  type RequestHandler,
  type Response,
  type Router,
} from 'express';
import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { ServiceDescription } from '../api-docs/route-table.ts';
import { asyncApi } from '../api-docs/asyncapi.ts';
import { CALLER_ID } from '../http/caller.ts';
import { createRequestRecorder } from '../telemetry/common-metrics.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import {
  addRequestFields,
  requestFields,
  requestIdFrom,
  runInRequest,
} from '../telemetry/request-context.ts';
import { isSampled, type Logger } from '../telemetry/logger.ts';
import { cached } from '../util/cached.ts';
import { openApi } from '../api-docs/openapi.ts';
import { errorHandler, ProblemError, sendProblem, unavailable, notFoundHandler } from '../http/problem.ts';
import type { Sidecar } from '../dapr/sidecar.ts';

/** The dependencies of every service. A service adds its own. */
export interface ServiceDeps {
  log: Logger;
  /** The share of successful requests that are logged; 1 by default. */
  logSampleRatio?: () => number;
  sidecar: Sidecar;
  /** The token that the sidecar sends with every call: https://docs.dapr.io/operations/security/app-api-token/. */
  appApiToken: string;
  metrics: Metrics;
}

export interface ServiceParts {
  /** The description that `/openapi.json` and `/asyncapi.json` document. */
  description?: ServiceDescription;
  routers: (Router | RequestHandler)[];
  /** Routers that read the body themselves. They precede the JSON parser. */
  rawRouters?: (Router | RequestHandler)[];
  isReady?: () => boolean;
  /** Whether clients call this port directly. Then every caller is allowed, and `/readyz` and `/metrics` have another port. */
  isPublic?: true;
}

/**
 * Creates the Express app of a service: the shared parts around `routers`, which are mounted in their order.
 *
 * - request id (from `X-Request-Id`, or generated) and trace context
 * - one log line and one metric per request
 * - `/healthz` (the process is alive), `/readyz` (the sidecar and `isReady`), `/metrics`
 * - `/openapi.json` and `/asyncapi.json`
 * - only the sidecar may call `routers`, checked by `APP_API_TOKEN`, unless the service is public
 * - JSON bodies up to 100 KB, and problem documents for all errors
 */
export function createService(
  deps: ServiceDeps,
  { description, routers, isPublic, rawRouters = [], isReady }: ServiceParts,
): Express {
  const { log, metrics, logSampleRatio = () => 1 } = deps;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(requestContext(log, metrics, logSampleRatio));
  if (isPublic) app.get('/healthz', isAlive);
  else app.use(probes(deps, isReady));
  if (description) app.use(documents(description));
  if (!isPublic) app.use(requireAppApiToken(deps.appApiToken), logCaller);
  for (const router of rawRouters) app.use(router);
  // Subscriptions are declared in components/, where operators can read them.
  app.get('/dapr/subscribe', (_req, res) => void res.json([]));
  app.use(express.json(JSON_OR_NONE));
  for (const router of routers) app.use(router);
  app.use(notFoundHandler);
  app.use(errorHandler(log));
  return app;
}

const isAlive: RequestHandler = (_req, res) => void res.json({ status: 'ok' });

/** The routes `/healthz`, `/readyz` and `/metrics`. */
export function probes(
  { sidecar, metrics }: Pick<ServiceDeps, 'sidecar' | 'metrics'>,
  isReady: () => boolean = () => true,
): Router {
  const router = express.Router();
  // Cached, because the metrics of a sidecar are a long page.
  const openBreakers = cached(1_000, sidecar.openBreakers);
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
    cachedJson(() => openApi([description], 'internal')),
  );
  router.get(
    '/asyncapi.json',
    cachedJson(() => asyncApi([description])),
  );
  return router;
}

/** Sends a JSON document that is generated at the first request, so that it does not slow down every start. */
export function cachedJson(make: () => unknown): RequestHandler {
  let made: string | undefined;
  return (_req, res) => {
    made ??= JSON.stringify(make());
    res.type('json').send(made);
  };
}

/** Runs each request in its own context, and logs and measures it at its end. */
function requestContext(log: Logger, metrics: Metrics, logSampleRatio: () => number): RequestHandler {
  const recordRequest = createRequestRecorder(metrics);
  return (req, res, next) => {
    const started = performance.now();
    const requestId = requestIdFrom(req.get('x-request-id'));
    res.set('x-request-id', requestId);
    runInRequest(req.headers, { request_id: requestId }, () => {
      // `close` also follows if the caller disconnects.
      res.once('close', () => {
        const seconds = (performance.now() - started) / 1000;
        const route = routeOf(req);
        if (PROBES.has(route)) return;
        const { method } = req;
        recordRequest({ protocol: 'http', method, route, status: String(res.statusCode) }, seconds);
        // A handler of events knows better: it answers RETRY with 200.
        const { outcome = outcomeOf(res), ...fields } = requestFields();
        const isRoutine = route === SWEEP_ROUTE || !isSampled(logSampleRatio(), fields);
        if (SUCCESSES.has(outcome) && isRoutine) return;
        const path = req.originalUrl.split('?')[0];
        const duration_ms = Math.round(seconds * 10_000) / 10;
        log.info({ method, route, path, status: res.statusCode, duration_ms, outcome }, 'request completed');
      });
      next();
    });
  };
}

/** It runs every few seconds. What it finds has log lines of its own. */
const SWEEP_ROUTE = '/job/sweep';

const SUCCESSES: ReadonlySet<string> = new Set(['ok', 'SUCCESS']);

function outcomeOf({ statusCode, writableFinished }: Response): string {
  if (!writableFinished) return 'client disconnected';
  if (statusCode >= 500) return 'failed';
  return statusCode >= 400 ? 'refused' : 'ok';
}

/** Adds to all log lines of the request who calls: the app of the calling sidecar, and the caller that the gateway identified. */
const logCaller: RequestHandler = (req, _res, next) => {
  const [callerId, callerApp] = [req.get(CALLER_ID), req.get('dapr-caller-app-id')];
  addRequestFields({
    ...(callerId ? { caller_id: callerId } : {}),
    ...(callerApp ? { caller_app: callerApp } : {}),
  });
  next();
};

const PROBES = new Set(['/healthz', '/readyz', '/metrics']);

/** The pattern of the route. A metric per URL would be unbounded. */
function routeOf(req: Request): string {
  const path: unknown = (req.route as { path?: unknown } | undefined)?.path;
  return typeof path === 'string' ? path : 'none';
}

/** Rejects calls without the token that the service shares with its sidecar. */
export function requireAppApiToken(token: string): RequestHandler {
  const expected = Buffer.from(token);
  return (req, _res, next) => {
    const given = Buffer.from(req.get('dapr-api-token') ?? '');
    if (given.length !== expected.length || !timingSafeEqual(given, expected))
      throw new ProblemError(401, 'unauthenticated', 'Only the sidecar may call this service.');
    next();
  };
}

export const BODY_LIMIT_BYTES = 100 * 1024;

/**
 * Options of Express's parsers: a JSON body or no body. Only the bytes show whether there is a body. A client may send a content
 * type without a body, and a sidecar forwards an empty body as chunked.
 */
export const JSON_OR_NONE = {
  type: () => true,
  limit: BODY_LIMIT_BYTES,
  /** @throws ProblemError 415 */
  verify(req: IncomingMessage, _res: unknown, body: Buffer): void {
    if (body.length > 0 && !(req as Request).is(['json', '+json']))
      throw new ProblemError(415, 'unsupported-media-type', 'Send the body as application/json.');
  },
};
