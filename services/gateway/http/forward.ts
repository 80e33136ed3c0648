import type { Request, RequestHandler, Response } from 'express';
import { setTimeout as delay } from 'node:timers/promises';
import { withoutCodings } from '../../shared/conditional.ts';
import { CLIENT_NETWORK, headersOf, type Caller } from '../../shared/identity.ts';
import { retryHeaders } from '../../shared/problem.ts';
import {
  isProblem,
  sidecarError,
  type SidecarRequest,
  type SidecarResponse,
} from '../../shared/sidecar-call.ts';
import type { Sidecar } from '../../shared/sidecar.ts';
import type { Gate } from '../auth/gate.ts';
import type { Route } from '../routes.ts';
import { addressOf } from '../limits/limits.ts';

/** Nothing but these passes, and the type of a body; request id and trace context go along by themselves. */
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
 * Between two tries. The sidecar picks a replica at random each time, for seconds also one that is gone. In a pod that ends, the
 * sidecar takes calls for some two seconds after its service has ended: services/decisions/0073-kubernetes.md. Milliseconds.
 */
const PAUSES = [50, 100, 200, 400, 800, 800];
/** A call that fails sooner has found nobody; what takes longer may be under way. Milliseconds. */
const FOUND_NOBODY = 500;

/**
 * Asks once more where a replica is not there and another may be. Not by the sidecar's own retries: they cannot tell a
 * request that may be carried out twice, because it only reads or has an Idempotency-Key, from one that may not.
 *
 * @throws SidecarError where no service answers
 */
async function ask(
  service: string,
  request: SidecarRequest,
  sidecar: Pick<Sidecar, 'invoke'>,
): Promise<SidecarResponse> {
  const mayBeRepeated = request.method === 'GET' || request.headers?.['idempotency-key'] !== undefined;
  for (let tries = 0; ; tries++) {
    const pause = PAUSES[tries];
    const asked = performance.now();
    try {
      return await sidecar.invoke(service, request);
    } catch (error) {
      if (!mayBeRepeated || pause === undefined || performance.now() - asked > FOUND_NOBODY) throw error;
    }
    await delay(pause);
  }
}

/**
 * A strong entity tag stands for these very bytes (RFC 9110, 8.8.3.3): neither we nor a proxy may compress them, or the tag
 * is another one, and a later `If-Match` fails. See services/decisions/0010-entity-tags-and-compression.md.
 */
const untransformed = (res: Response): string =>
  [res.get('cache-control'), 'no-transform'].filter(Boolean).join(', ');

/** The body as it came; undefined where there is none, or an empty one. */
export function bodyOf({ body }: Request): Buffer | undefined {
  return Buffer.isBuffer(body) && body.length > 0 ? body : undefined;
}

/**
 * The target without the parameters that the route does not have. No service reads those, but sidecars write the whole target into
 * spans, and somebody may have put a secret there.
 */
function targetOf({ originalUrl }: Request, query: Route['query']): string {
  const [path = ''] = originalUrl.split('?', 1);
  const given = new URLSearchParams(originalUrl.slice(path.length));
  const known = new URLSearchParams([...given].filter(([name]) => query && Object.hasOwn(query.shape, name)));
  return known.size > 0 ? `${path}?${known.toString()}` : path;
}

/** Passes the request on to the service of a route, and its answer back. */
export function forwardTo(
  { service, query }: Pick<Route, 'service' | 'query'>,
  sidecar: Pick<Sidecar, 'invoke'>,
  { inFlight, clientAddress }: Pick<Gate, 'inFlight' | 'clientAddress'>,
): RequestHandler {
  return async (req, res) => {
    const caller = res.locals['caller'] as Caller | undefined;
    const headers: Record<string, string> = {
      ...(caller ? headersOf(caller) : {}),
      [CLIENT_NETWORK]: addressOf(req, clientAddress),
    };
    const body = bodyOf(req);
    for (const name of [...REQUEST_HEADERS, ...(body ? (['content-type'] as const) : [])]) {
      const value = req.headers[name];
      if (typeof value === 'string') headers[name] = name === 'if-none-match' ? withoutCodings(value) : value;
    }
    const asked: SidecarRequest = {
      // Node leaves the body out of what it answers to a HEAD.
      method: req.method === 'HEAD' ? 'GET' : (req.method as SidecarRequest['method']),
      path: targetOf(req, query),
      headers,
      ...(body ? { body } : {}),
    };
    const response = await inFlight.run(() => ask(service, asked, sidecar));
    if (response.status >= 400 && !isProblem(response)) throw sidecarError(`invoke ${service}`, response);
    // A service that does not say when to try again.
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
