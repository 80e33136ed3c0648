import express, { Router, type RequestHandler } from 'express';
import type { z } from 'zod';
import type { Method } from '../../shared/api-docs/route-table.ts';
import { isOptional } from '../../shared/api-docs/openapi.ts';
import { forbidden, ProblemError } from '../../shared/http/problem.ts';
import { JSON_OR_NONE } from '../../shared/runtime/service-app.ts';
import type { Sidecar } from '../../shared/dapr/sidecar.ts';
import { addRequestFields } from '../../shared/telemetry/request-context.ts';
import { parsePath } from '../../shared/http/validation.ts';
import { bodyOf, proxyTo } from './proxy.ts';
import type { AccessControl } from '../auth/access-control.ts';
import { addressOf, type LimitClass } from '../limits/rate-limiter.ts';
import type { Route } from '../routes.ts';
import { serverSpan } from './server-span.ts';

/** Creates a router with exact paths: `/API/orders/` is not `/api/orders`. */
export const createStrictRouter = () => Router({ caseSensitive: true, strict: true });

export interface ApiRouterDeps {
  sidecar: Pick<Sidecar, 'invoke'>;
  accessControl: Pick<AccessControl, 'authenticate' | 'clientAddress' | 'limits' | 'concurrency'>;
  /** The handlers of the gateway's own routes, by method and path. */
  localHandlers: Readonly<Record<string, RequestHandler<never>>>;
}

/**
 * The limit of URL and headers together. Sidecars read 32 KB (`readBufferSize` in dapr.yaml), which leaves room for the headers
 * that the gateway and the sidecars add (services/decisions/0011-size-of-headers.md).
 */
export const MAX_HEADER_BYTES = 16 * 1024;
/** The limit of a URL. RFC 9110, 4.1 recommends at least 8,000 bytes. */
const MAX_TARGET_BYTES = 8 * 1024;

/** @throws ProblemError 414 */
export const targetLimit: RequestHandler = (req, _res, next) => {
  if (req.originalUrl.length > MAX_TARGET_BYTES)
    throw new ProblemError(414, 'uri-too-long', 'The URL is longer than 8 KB. Shorten the URL.');
  next();
};

/** Mounts the routes of the table. The gateway checks the caller and the rate limit, the service checks everything else. */
export function createApiRouter(routes: readonly Route[], deps: ApiRouterDeps): Router {
  const router = createStrictRouter();
  for (const path of new Set(routes.map((route) => route.path))) {
    const here = routes.filter((route) => route.path === path);
    const address = router.route(path);
    for (const route of here)
      address[route.method.toLowerCase() as Lowercase<Method>](...handlersOf(route, deps));
    methodNotAllowed(router, path, {
      methods: here.map((route) => route.method),
      limit: deps.accessControl.limits.handlers.default,
    });
  }
  return router;
}

function handlersOf(
  route: Route,
  { sidecar, accessControl, localHandlers }: ApiRouterDeps,
): RequestHandler[] {
  const { method, path, service, access, params, body } = route;
  const limit = limitOf(route);
  // The gateway's own routes are cheap, and its streams have their own limit.
  const isForwarded = service !== 'gateway';
  return [
    serverSpan(method, path),
    ...(access === 'customer' || access === 'admin'
      ? [authenticateCaller(accessControl, method, isForwarded)]
      : []),
    ...(limit ? [accessControl.limits.handlers[limit]] : []),
    ...(access === 'admin' ? [REQUIRE_ADMIN] : []),
    ...(params ? [validatePathParams(params)] : []),
    ...(isForwarded ? [rejectIfOverloaded(accessControl)] : []),
    ...(method === 'GET' ? [] : [RAW_BODY]),
    ...(body && !isOptional(body) ? [REQUIRE_BODY] : []),
    handlerOf(route, localHandlers) ?? proxyTo(route, sidecar, accessControl),
  ];
}

/** @throws Error at start, if a route of the gateway has no handler */
function handlerOf(
  { method, path, service }: Route,
  own: ApiRouterDeps['localHandlers'],
): RequestHandler | undefined {
  if (service !== 'gateway') return undefined;
  const handler = own[`${method} ${path}`];
  if (!handler) throw new Error(`no handler for ${method} ${path}`);
  return handler as RequestHandler;
}

function limitOf({ rateLimit, access }: Route): LimitClass | undefined {
  if (rateLimit === 'none') return undefined;
  return rateLimit ?? (access === 'public' ? 'default' : 'api');
}

/**
 * Reads the body without parsing it, because the service validates it. The gateway reads it completely, because sidecars do not
 * retry chunked requests.
 */
const RAW_BODY: RequestHandler = express.raw(JSON_OR_NONE);

/** Requires a body. A sidecar would forward a missing body as an empty one, which a service reads as an empty object. */
const REQUIRE_BODY: RequestHandler = (req, _res, next) => {
  if (bodyOf(req) === undefined)
    throw new ProblemError(422, 'invalid-input', 'The request body is missing. Send a JSON body.');
  next();
};

/**
 * Answers 404 for path variables that no service accepts. Some would not pass the sidecars. The service receives the original
 * path and normalizes it.
 */
function validatePathParams(params: z.ZodType): RequestHandler {
  return (req, _res, next) => {
    parsePath(params, req.params, 'resource');
    next();
  };
}

/** Identifies the caller. That may call `users`, so the concurrency limiter applies to forwarded routes. */
function authenticateCaller(
  {
    authenticate,
    clientAddress,
    concurrency,
  }: Pick<AccessControl, 'authenticate' | 'clientAddress' | 'concurrency'>,
  method: Method,
  isCounted: boolean,
): RequestHandler {
  const freshness = method === 'GET' ? 'recent' : 'current';
  return async (req, res, next) => {
    const verify = () => authenticate(req.headers.authorization, addressOf(req, clientAddress), freshness);
    const caller = await (isCounted ? concurrency.run(verify) : verify());
    res.locals['caller'] = caller;
    addRequestFields({ caller_id: caller.id });
    next();
  };
}

/**
 * Sheds a request before its body is read. While the body arrives, the request does not count, so that slow clients block
 * nobody.
 */
function rejectIfOverloaded({ concurrency }: Pick<AccessControl, 'concurrency'>): RequestHandler {
  return (_req, _res, next) => {
    concurrency.assertCapacity();
    next();
  };
}

const REQUIRE_ADMIN: RequestHandler = (_req, res, next) => {
  if (res.locals['caller'].role !== 'admin') throw forbidden('Only administrators can call this route.');
  next();
};

/** Answers OPTIONS and, with a 405, all other methods. It follows the handlers of `path`. */
export function methodNotAllowed(
  router: Router,
  path: string,
  { methods, limit }: { methods: readonly Method[]; limit?: RequestHandler },
): void {
  const allow = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
  const address = router.route(path);
  if (limit) address.all(limit);
  address.options((_req, res) => void res.status(204).set('allow', allow).end());
  address.all(() => {
    throw new ProblemError(405, 'method-not-allowed', `Allowed methods: ${allow}.`, { headers: { allow } });
  });
}
