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

/** A router whose addresses are taken to the letter: `/API/orders/` is not `/api/orders`. */
export const exactRouter = () => Router({ caseSensitive: true, strict: true });

export interface EdgeDeps {
  sidecar: Pick<Sidecar, 'invoke'>;
  gate: Pick<Gate, 'identify' | 'clientAddress' | 'limits' | 'inFlight'>;
  /** What the gateway answers itself, by method and path. */
  own: Readonly<Record<string, RequestHandler<never>>>;
}

/**
 * Of target and headers together. Sidecars read 32 KB (`readBufferSize` in dapr.yaml), so that what is taken here passes them
 * with all that the gateway and the sidecars add: see services/decisions/0011-size-of-headers.md.
 */
export const MAX_HEADER_BYTES = 16 * 1024;
/** No address of ours is longer; RFC 9110, 4.1 asks for 8,000 at least. */
const MAX_TARGET_BYTES = 8 * 1024;

/** @throws Problem 414 */
export const targetLimit: RequestHandler = (req, _res, next) => {
  if (req.originalUrl.length > MAX_TARGET_BYTES)
    throw new Problem(414, 'uri-too-long', 'The URL is longer than 8 KB. Shorten the URL.');
  next();
};

/** The routes of the table: who may call, and how often, is asked here; everything else in the service behind. */
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
  // What the gateway answers itself asks for little, and its streams have a bound of their own.
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

/** @throws Error at start where the gateway has a route and nothing to answer it with */
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
 * The body as it is: whether it is JSON that makes sense, its service says. It is read as a whole because sidecars do
 * not repeat requests that come in chunks.
 */
const RAW_BODY: RequestHandler = express.raw(JSON_OR_NONE);

/** A sidecar passes no body on as an empty one, which a service could not tell from an empty object. */
const BODY_NEEDED: RequestHandler = (req, _res, next) => {
  if (bodyOf(req) === undefined)
    throw new Problem(422, 'invalid-input', 'The request body is missing. Send a JSON body.');
  next();
};

/**
 * What no service could have: some of it would not even get through the sidecars. The path goes on as it came: the service
 * behind normalises it.
 */
function matching(params: z.ZodType): RequestHandler {
  return (req, _res, next) => {
    parsePath(params, req.params, 'resource');
    next();
  };
}

/** To know a token may take a call, and nobody waits for one where there is no room for what comes after. */
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

/** Stands before the body. While that comes, a request is not counted: slow clients must not take the room of others. */
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

/** Stands after the handlers of `path`: answers OPTIONS, and other methods with a 405 that says which there are. */
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
