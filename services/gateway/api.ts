import { z } from 'zod';
import { orderBroadcasts, orderSchema } from '../orders/contract.ts';
import { subscribedTo, type ServiceApi, type ServiceDescription } from '../shared/api.ts';
import { id } from '../shared/types.ts';

const readiness = z.enum(['ok', 'unavailable']);

/** How the system is, as `GET /health` tells it. Latencies in milliseconds. */
export const healthSchema = z.object({
  /** `degraded`: orders are taken, but wait for something; `unavailable`: none can be taken. */
  status: z.enum(['ok', 'degraded', 'unavailable']),
  services: z.record(
    z.string(),
    z.object({
      status: readiness,
      latency_ms: z.int().min(0),
      /** The circuit breakers of its sidecar that are open, by what they guard. */
      open_breakers: z.array(z.string()).optional(),
    }),
  ),
});
export type Health = z.infer<typeof healthSchema>;

const document = z.record(z.string(), z.unknown());

/** What the gateway answers itself. */
export const gatewayApi = {
  'GET /api/orders/:id/stream': {
    access: 'customer',
    summary: 'An order, live: Server-Sent Events until it has ended',
    params: z.object({ id }),
    headers: {
      'Last-Event-ID': {
        description: 'The id (the version) of the last event that you have: it goes on after that one.',
        pattern: '^\\d{0,9}$',
      },
    },
    mediaType: 'text/event-stream',
    mayBeEmpty: true,
    problems: {
      'invalid-last-event-id': {
        status: 400,
        when: 'The Last-Event-ID is none of this stream, or beyond the order.',
      },
      'too-many-streams': { status: 429, when: 'The caller has too many streams open.' },
    },
    answer: z.string(),
  },
  'GET /health': {
    access: 'public',
    limit: 'none',
    summary: 'How every service is',
    answer: healthSchema,
    failures: { 503: healthSchema },
    answered: { status: 'ok', services: { orders: { status: 'ok', latency_ms: 2 } } },
  },
  'GET /openapi.json': { access: 'public', summary: 'This document', answer: document },
  'GET /asyncapi.json': {
    access: 'public',
    summary: 'The events between the services, as an AsyncAPI document',
    answer: document,
  },
} satisfies ServiceApi;

/** What stands at the top of the API's documentation, in Markdown. */
export const ABOUT = `
Orders, stock, payments and accounts of a shop.

- **Sessions.** Register, log in, and send the access token as \`Authorization: Bearer\`. A refresh token is good for one
  exchange; used twice, it ends its session.
- **Repeating.** A POST with an \`Idempotency-Key\` may be sent again for a day: the same answer, marked
  \`Idempotent-Replayed: true\`, and nothing done twice. The key with another request is a 422, while the first one is under
  way a 409.
- **Reading again.** What has an \`ETag\` answers \`If-None-Match\` with 304 where nothing changed, and a PUT with an
  \`If-Match\` of something older with 412. Lists have \`Link: rel="next"\`.
- **Live.** \`/api/orders/{id}/stream\` is Server-Sent Events, resumed by \`Last-Event-ID\`.
- **Limits.** \`RateLimit\` and \`RateLimit-Policy\` tell what is left; beyond the limit it is 429 with \`Retry-After\`.
- **Errors** are problem documents (RFC 9457). Their \`type\` tells which; each route lists its own.
- **Tracing.** \`traceresponse\` and \`X-Request-Id\` name the request in Zipkin and in the logs; \`traceparent\` and
  \`X-Request-Id\` are taken over.
- **gRPC**: \`sidecart.v1.OrderService\` on a port of its own (50051), with reflection and health.
- **Events**: [/asyncapi.json](/asyncapi.json).
`.trim();

export const gateway: ServiceDescription = {
  name: 'gateway',
  summary: 'The edge',
  api: gatewayApi,
  events: [],
  calls: {
    users: ['GET /sessions/ended'],
    orders: ['GET /orders/:id/changes'],
  },
  subscribes: [subscribedTo(orderBroadcasts, 'orders.changed')],
  uses: [],
  schemas: { Health: healthSchema, Order: orderSchema },
};
