import cors from 'cors';
import type { RequestHandler } from 'express';
import helmet from 'helmet';

/** Of both, data and pages. What is not said is for browsers of ten years ago, or for whoever ends TLS to say. */
const ALWAYS = {
  xFrameOptions: { action: 'deny' },
  strictTransportSecurity: false,
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
} as const;

/**
 * Headers that keep browsers from doing with data what was not meant (https://helmetjs.github.io, and
 * https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers).
 */
export function dataHeaders(): RequestHandler {
  return helmet({
    ...ALWAYS,
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
  });
}

/** The same for pages that the gateway serves. */
export function pageHeaders(): RequestHandler {
  return helmet({
    ...ALWAYS,
    contentSecurityPolicy: {
      directives: {
        // Swagger UI sets styles on its elements, and has its pictures in its style sheet.
        styleSrc: ["'self'", "'unsafe-inline'"],
        // In a local system there is no TLS to be upgraded to.
        upgradeInsecureRequests: null,
      },
    },
  });
}

/** What a page of another origin may send, and read of our answers. */
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

/** Pages of these origins may call the API from a browser (https://fetch.spec.whatwg.org/#http-cors-protocol). */
export function crossOrigin(origins: readonly string[]): RequestHandler {
  const handler = cors({
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: REQUEST_HEADERS,
    exposedHeaders: RESPONSE_HEADERS,
    maxAge: 600,
  });
  return (req, res, next) => {
    // Also without an origin: a cache must not give that answer to a page.
    if (origins.length > 0) res.vary('Origin');
    const asksFirst = req.method === 'OPTIONS' && req.headers['access-control-request-method'] !== undefined;
    // Without an origin no page asks; an OPTIONS that is no preflight is answered by the address that it names.
    if (!req.headers.origin || (req.method === 'OPTIONS' && !asksFirst)) return next();
    handler(req, res, next);
  };
}
