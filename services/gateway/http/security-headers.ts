import cors from 'cors';
import type { RequestHandler } from 'express';
import helmet from 'helmet';

/** Options for data and pages. The disabled headers are obsolete, or belong to the proxy that terminates TLS. */
const COMMON = {
  xFrameOptions: { action: 'deny' },
  strictTransportSecurity: false,
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
} as const;

/**
 * Sets the security headers of data (https://helmetjs.github.io and
 * https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers).
 */
export function apiSecurityHeaders(): RequestHandler {
  return helmet({
    ...COMMON,
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
  });
}

/** Sets the security headers of pages. */
export function docsSecurityHeaders(): RequestHandler {
  return helmet({
    ...COMMON,
    contentSecurityPolicy: {
      directives: {
        // Swagger UI sets styles on its elements, and its style sheet contains images.
        styleSrc: ["'self'", "'unsafe-inline'"],
        // A local system has no TLS.
        upgradeInsecureRequests: null,
      },
    },
  });
}

/** The headers that pages of other origins may send and read. */
const REQUEST_HEADERS = [
  'authorization',
  'content-type',
  'idempotency-key',
  'if-match',
  'if-none-match',
  'last-event-id',
  'traceparent',
  'x-request-id',
];
const RESPONSE_HEADERS = [
  'etag',
  'idempotent-replayed',
  'link',
  'location',
  'ratelimit',
  'ratelimit-policy',
  'retry-after',
  'traceresponse',
  'x-request-id',
];

/** Allows pages of these origins to call the API (https://fetch.spec.whatwg.org/#http-cors-protocol). */
export function corsPolicy(origins: readonly string[]): RequestHandler {
  const handler = cors({
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: REQUEST_HEADERS,
    exposedHeaders: RESPONSE_HEADERS,
    maxAge: 600,
  });
  return (req, res, next) => {
    // Also without an origin, because a cache must not send that response to a page.
    if (origins.length > 0) res.vary('Origin');
    const asksFirst = req.method === 'OPTIONS' && req.headers['access-control-request-method'] !== undefined;
    // Requests without an origin do not come from pages. Other OPTIONS requests go to their route.
    if (!req.headers.origin || (req.method === 'OPTIONS' && !asksFirst)) return next();
    handler(req, res, next);
  };
}
