import express, { Router, type RequestHandler } from 'express';
import type { Caller } from '../shared/identity.ts';
import { forbidden, Problem } from '../shared/problem.ts';
import { BODY_LIMIT, onlyJson } from '../shared/service.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import type { VerifyToken } from './auth.ts';
import { forwardTo } from './forward.ts';
import type { Method, Route } from './routes.ts';
import { serverSpan } from './server-span.ts';

/** A router whose addresses are taken to the letter: `/API/orders/` is not `/api/orders`. */
export const exactRouter = () => Router({ caseSensitive: true, strict: true });

/** The routes of the table: who may call is asked here, everything else in the service behind. */
export function edge(
  routes: readonly Route[],
  { sidecar, verify }: { sidecar: Pick<Sidecar, 'invoke'>; verify: VerifyToken },
): Router {
  const router = exactRouter();
  for (const path of new Set(routes.map((route) => route.path))) {
    const here = routes.filter((route) => route.path === path);
    const address = router.route(path);
    for (const { method, service, access } of here)
      address[method.toLowerCase() as Lowercase<Method>](
        serverSpan(method, path),
        ...(access === 'public' ? [] : [authenticate(verify, access)]),
        ...(method === 'GET' ? [] : RAW_BODY),
        forwardTo(service, sidecar),
      );
    allowOnly(
      router,
      path,
      here.map((route) => route.method),
    );
  }
  return router;
}

/**
 * The body as it is: whether it is JSON that makes sense, its service says. It is read as a whole because sidecars do
 * not repeat requests that come in chunks.
 */
const RAW_BODY: RequestHandler[] = [onlyJson, express.raw({ type: () => true, limit: BODY_LIMIT })];

function authenticate(verify: VerifyToken, access: 'customer' | 'admin'): RequestHandler {
  return async (req, res, next) => {
    const caller: Caller = await verify(req.headers.authorization);
    if (access === 'admin' && caller.role !== 'admin') throw forbidden('This is for administrators.');
    res.locals['caller'] = caller;
    next();
  };
}

/** Stands after the handlers of `path`: answers OPTIONS, and other methods with a 405 that says which there are. */
export function allowOnly(router: Router, path: string, methods: readonly Method[]): void {
  const allow = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
  const address = router.route(path);
  address.options((_req, res) => void res.status(204).set('allow', allow).end());
  address.all(() => {
    throw new Problem(405, 'method-not-allowed', `This address takes ${allow}.`, { headers: { allow } });
  });
}
