import express, { Router, type RequestHandler } from 'express';
import type { z } from 'zod';
import type { Method } from '../../shared/api.ts';
import { isOptional } from '../../shared/openapi.ts';
import { forbidden, Problem } from '../../shared/problem.ts';
import { JSON_OR_NONE } from '../../shared/service.ts';
import type { Sidecar } from '../../shared/sidecar.ts';
import { parsePath } from '../../shared/validate.ts';
import { bodyOf, forwardTo } from './forward.ts';
import type { Gate } from '../auth/gate.ts';
import { addressOf, type LimitClass } from '../limits/limits.ts';
import type { Route } from '../routes.ts';
import { serverSpan } from './server-span.ts';

/** Creates a router with exact paths: `/API/orders/` is not `/api/orders`. */
export const exactRouter = () => Router({ caseSensitive: true, strict: true });

export interface EdgeDeps {
  sidecar: Pick<Sidecar, 'invoke'>;
  gate: Pick<Gate, 'identify' | 'clientAddress' | 'limits' | 'inFlight'>;
  /** The handlers of the gateway's own routes, by method and path. */
  own: Readonly<Record<string, RequestHandler<never>>>;
}

/**
 * The limit of URL and headers together. Sidecars read 32 KB (`readBufferSize` in dapr.yaml), which leaves room for the headers
 * that the gateway and the sidecars add (services/decisions/0011-size-of-headers.md).
 */
export const MAX_HEADER_BYTES = 16 * 1024;
/** The limit of a URL. RFC 9110, 4.1 recommends at least 8,000 bytes. */
const MAX_TARGET_BYTES = 8 * 1024;

/** @throws Problem 414 */
export const targetLimit: RequestHandler = (req, _res, next) => {
  if (req.originalUrl.length > MAX_TARGET_BYTES)
    throw new Problem(414, 'uri-too-long', 'The URL is longer than 8 KB. Shorten the URL.');
  next();
};

/** Mounts the routes of the table. The gateway checks the caller and the rate limit, the service checks everything else. */
export function edge(routes: readonly Route[], deps: EdgeDeps): Router {
  const router = exactRouter();
  for (const path of new Set(routes.map((route) => route.path))) {
    const here = routes.filter((route) => route.path === path);
    const address = router.route(path);
    for (const route of here)
      address[route.method.toLowerCase() as Lowercase<Method>](...handlersOf(route, deps));
    allowOnly(router, path, {
      methods: here.map((route) => route.method),
      limit: deps.gate.limits.handlers.default,
    });
  }
  return router;
}

function handlersOf(route: Route, { sidecar, gate, own }: EdgeDeps): RequestHandler[] {
  const { method, path, service, access, params, body } = route;
  const limit = limitOf(route);
  // The gateway's own routes are cheap, and its streams have their own limit.
  const isForwarded = service !== 'gateway';
  return [
    serverSpan(method, path),
    ...(access === 'customer' || access === 'admin' ? [authenticate(gate, method, isForwarded)] : []),
    ...(limit ? [gate.limits.handlers[limit]] : []),
    ...(access === 'admin' ? [ADMINS_ONLY] : []),
    ...(params ? [matching(params)] : []),
    ...(isForwarded ? [roomNeeded(gate)] : []),
    ...(method === 'GET' ? [] : [RAW_BODY]),
    ...(body && !isOptional(body) ? [BODY_NEEDED] : []),
    handlerOf(route, own) ?? forwardTo(route, sidecar, gate),
  ];
}

/** @throws Error at start, if a route of the gateway has no handler */
function handlerOf({ method, path, service }: Route, own: EdgeDeps['own']): RequestHandler | undefined {
  if (service !== 'gateway') return undefined;
  const handler = own[`${method} ${path}`];
  if (!handler) throw new Error(`no handler for ${method} ${path}`);
  return handler as RequestHandler;
}

function limitOf({ limit, access }: Route): LimitClass | undefined {
  if (limit === 'none') return undefined;
  return limit ?? (access === 'public' ? 'default' : 'api');
}

/**
 * Reads the body without parsing it, because the service validates it. The gateway reads it completely, because sidecars do not
 * retry chunked requests.
 */
const RAW_BODY: RequestHandler = express.raw(JSON_OR_NONE);

/** Requires a body. A sidecar would forward a missing body as an empty one, which a service reads as an empty object. */
const BODY_NEEDED: RequestHandler = (req, _res, next) => {
  if (bodyOf(req) === undefined)
    throw new Problem(422, 'invalid-input', 'The request body is missing. Send a JSON body.');
  next();
};

/**
 * Answers 404 for path variables that no service accepts. Some would not pass the sidecars. The service receives the original
 * path and normalizes it.
 */
function matching(params: z.ZodType): RequestHandler {
  return (req, _res, next) => {
    parsePath(params, req.params, 'resource');
    next();
  };
}

/** Identifies the caller. That may call `users`, so the concurrency limiter applies to forwarded routes. */
function authenticate(
  { identify, clientAddress, inFlight }: Pick<Gate, 'identify' | 'clientAddress' | 'inFlight'>,
  method: Method,
  isCounted: boolean,
): RequestHandler {
  const freshness = method === 'GET' ? 'recent' : 'current';
  return async (req, res, next) => {
    const verify = () => identify(req.headers.authorization, addressOf(req, clientAddress), freshness);
    res.locals['caller'] = await (isCounted ? inFlight.run(verify) : verify());
    next();
  };
}

/**
 * Sheds a request before its body is read. While the body arrives, the request does not count, so that slow clients block
 * nobody.
 */
function roomNeeded({ inFlight }: Pick<Gate, 'inFlight'>): RequestHandler {
  return (_req, _res, next) => {
    inFlight.demandRoom();
    next();
  };
}

const ADMINS_ONLY: RequestHandler = (_req, res, next) => {
  if (res.locals['caller'].role !== 'admin') throw forbidden('Only administrators can call this route.');
  next();
};

/** Answers OPTIONS and, with a 405, all other methods. It follows the handlers of `path`. */
export function allowOnly(
  router: Router,
  path: string,
  { methods, limit }: { methods: readonly Method[]; limit?: RequestHandler },
): void {
  const allow = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
  const address = router.route(path);
  if (limit) address.all(limit);
  address.options((_req, res) => void res.status(204).set('allow', allow).end());
  address.all(() => {
    throw new Problem(405, 'method-not-allowed', `Allowed methods: ${allow}.`, { headers: { allow } });
  });
}
