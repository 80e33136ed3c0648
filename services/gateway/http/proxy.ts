import type { Request, RequestHandler, Response } from 'express';
import { withoutCodings } from '../../shared/http/preconditions.ts';
import { CLIENT_NETWORK, callerHeaders, type Caller } from '../../shared/http/caller.ts';
import { retryHeaders } from '../../shared/http/problem.ts';
import { isProblem, sidecarError, type SidecarRequest } from '../../shared/dapr/sidecar-call.ts';
import type { Sidecar } from '../../shared/dapr/sidecar.ts';
import type { AccessControl } from '../auth/access-control.ts';
import { invokeWithRetry } from '../invoke-with-retry.ts';
import type { Route } from '../routes.ts';
import { addressOf } from '../limits/rate-limiter.ts';

/** The forwarded headers, besides the content type of a body. The sidecar client adds the request id and the trace context. */
const REQUEST_HEADERS = ['accept', 'idempotency-key', 'if-match', 'if-none-match'] as const;
const RESPONSE_HEADERS = [
  'content-type',
  'location',
  'retry-after',
  'etag',
  'cache-control',
  'idempotent-replayed',
  'link',
  'allow',
] as const;

/**
 * Adds `no-transform`. A strong entity tag identifies the exact bytes (RFC 9110, 8.8.3.3). A proxy that compresses them changes
 * the tag, and a later `If-Match` fails (services/decisions/0010-entity-tags-and-compression.md).
 */
const untransformed = (res: Response): string =>
  [res.get('cache-control'), 'no-transform'].filter(Boolean).join(', ');

/** The unparsed body; undefined if it is missing or empty. */
export function bodyOf({ body }: Request): Buffer | undefined {
  return Buffer.isBuffer(body) && body.length > 0 ? body : undefined;
}

/**
 * The URL with only the query parameters of the route. Sidecars write the whole URL into spans, and unknown parameters may
 * contain secrets.
 */
function targetOf({ originalUrl }: Request, query: Route['query']): string {
  const [path = ''] = originalUrl.split('?', 1);
  const given = new URLSearchParams(originalUrl.slice(path.length));
  const known = new URLSearchParams([...given].filter(([name]) => query && Object.hasOwn(query.shape, name)));
  return known.size > 0 ? `${path}?${known.toString()}` : path;
}

/** Forwards the request to the service of a route, and sends its response. */
export function proxyTo(
  { service, query }: Pick<Route, 'service' | 'query'>,
  sidecar: Pick<Sidecar, 'invoke'>,
  { concurrency, clientAddress }: Pick<AccessControl, 'concurrency' | 'clientAddress'>,
): RequestHandler {
  return async (req, res) => {
    const caller = res.locals['caller'] as Caller | undefined;
    const headers: Record<string, string> = {
      ...(caller ? callerHeaders(caller) : {}),
      [CLIENT_NETWORK]: addressOf(req, clientAddress),
    };
    const body = bodyOf(req);
    for (const name of [...REQUEST_HEADERS, ...(body ? (['content-type'] as const) : [])]) {
      const value = req.headers[name];
      if (typeof value === 'string') headers[name] = name === 'if-none-match' ? withoutCodings(value) : value;
    }
    const asked: SidecarRequest = {
      // Node.js omits the body of a response to HEAD.
      method: req.method === 'HEAD' ? 'GET' : (req.method as SidecarRequest['method']),
      path: targetOf(req, query),
      headers,
      ...(body ? { body } : {}),
    };
    const response = await concurrency.run(() => invokeWithRetry(sidecar, service, asked));
    if (response.status >= 400 && !isProblem(response)) throw sidecarError(`invoke ${service}`, response);
    // The header of the service, if any, replaces this default.
    res.set(retryHeaders(response.status));
    for (const name of RESPONSE_HEADERS) {
      const value = response.headers[name];
      if (value !== undefined) res.setHeader(name, value);
    }
    if (response.headers['etag'] !== undefined) res.setHeader('cache-control', untransformed(res));
    if (response.body.length > 0) res.setHeader('content-length', response.body.length);
    res.status(response.status).end(response.body);
  };
}
