import type { RequestHandler } from 'express';
import { headersOf, type Caller } from '../shared/identity.ts';
import { Problem, retryHeaders } from '../shared/problem.ts';
import { isProblem, sidecarError, type SidecarRequest } from '../shared/sidecar-call.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import type { InFlight } from './in-flight.ts';

/** Nothing but these passes; request id and trace context go along by themselves. */
const REQUEST_HEADERS = ['content-type', 'accept', 'idempotency-key', 'if-match', 'if-none-match'] as const;
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

/** Passes the request on to a service, and its answer back. */
export function forwardTo(
  service: string,
  sidecar: Pick<Sidecar, 'invoke'>,
  inFlight: Pick<InFlight, 'run'>,
): RequestHandler {
  return async (req, res) => {
    // The absolute form (RFC 9112, 3.2.2) is for proxies.
    if (!req.originalUrl.startsWith('/'))
      throw new Problem(400, 'bad-request', 'The request target must be a path.');
    const caller = res.locals['caller'] as Caller | undefined;
    const headers: Record<string, string> = caller ? headersOf(caller) : {};
    for (const name of REQUEST_HEADERS) {
      const value = req.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    const asked: SidecarRequest = {
      // Node leaves the body out of what it answers to a HEAD.
      method: req.method === 'HEAD' ? 'GET' : (req.method as SidecarRequest['method']),
      path: req.originalUrl,
      headers,
      ...(Buffer.isBuffer(req.body) ? { body: req.body } : {}),
    };
    const response = await inFlight.run(() => sidecar.invoke(service, asked));
    if (response.status >= 400 && !isProblem(response)) throw sidecarError(`invoke ${service}`, response);
    // A service that does not say when to try again.
    res.set(retryHeaders(response.status));
    for (const name of RESPONSE_HEADERS) {
      const value = response.headers[name];
      if (value !== undefined) res.setHeader(name, value);
    }
    if (response.body.length > 0) res.setHeader('content-length', response.body.length);
    res.status(response.status).end(response.body);
  };
}
