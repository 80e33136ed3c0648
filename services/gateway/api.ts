import { z } from 'zod';
import { orderBroadcasts, orderSchema } from '../orders/contract.ts';
import { subscribedTo, type ServiceApi, type ServiceDescription } from '../shared/api-docs/route-table.ts';
import { id } from '../shared/schemas/types.ts';
import { config } from './config.ts';
import { METRICS } from './metrics.ts';

const readiness = z.enum(['ok', 'unavailable']);

/** The body of `GET /health`. Latencies are in milliseconds. */
export const healthSchema = z.object({
  /** `degraded`: orders are accepted, but wait for a service. `unavailable`: no order is accepted. */
  status: z.enum(['ok', 'degraded', 'unavailable']),
  services: z.record(
    z.string(),
    z.object({
      status: readiness,
      latency_ms: z.int().min(0),
      /** The targets of the open circuit breakers of its sidecar. */
      open_breakers: z.array(z.string()).optional(),
    }),
  ),
});
export type Health = z.infer<typeof healthSchema>;

const document = z.record(z.string(), z.unknown());

/** The routes that the gateway does not forward. */
export const gatewayApi = {
  'GET /api/orders/:id/stream': {
    access: 'customer',
    summary: 'Stream the changes of an order as Server-Sent Events',
    params: z.object({ id }),
    headers: {
      'Last-Event-ID': {
        description:
          'The id of the last event that the client received. The stream resumes after that event.',
        pattern: '^\\d{0,9}$',
      },
    },
    mediaType: 'text/event-stream',
    mayBeEmpty: true,
    problems: {
      'invalid-last-event-id': {
        status: 400,
        description: 'The Last-Event-ID is malformed, or newer than the order.',
      },
      'too-many-streams': { status: 429, description: 'The caller has too many open streams.' },
    },
    response: z.string(),
  },
  'GET /health': {
    access: 'public',
    rateLimit: 'none',
    summary: 'Get the health of all services',
    response: healthSchema,
    errorResponses: { 503: healthSchema },
    responseExample: { status: 'ok', services: { orders: { status: 'ok', latency_ms: 2 } } },
  },
  'GET /openapi.json': { access: 'public', summary: 'Get this OpenAPI document', response: document },
  'GET /asyncapi.json': {
    access: 'public',
    summary: 'Get the AsyncAPI document of all events',
    response: document,
  },
} satisfies ServiceApi;

/** The introduction of the API's documentation, in Markdown. */
export const ABOUT = `
The API of a shop: orders, stock, payments and accounts.

- **Sessions.** Register, log in, and send the access token as \`Authorization: Bearer\`. A refresh token can be exchanged
  once. Using a refresh token twice ends the session.
- **Retries.** A POST with an \`Idempotency-Key\` can be retried for a day. The retry gets the same response with
  \`Idempotent-Replayed: true\`, and nothing is done twice. The same key with a different request gets 422. While the first
  request is in progress, the key gets 409.
- **Conditional requests.** A resource with an \`ETag\` answers \`If-None-Match\` with 304 if it has not changed. A PUT with
  an outdated \`If-Match\` gets 412.
- **Pages.** A list has a \`next_cursor\` and a \`Link: rel="next"\` if more items follow.
- **Live updates.** \`/api/orders/{id}/stream\` sends Server-Sent Events. A client resumes the stream with \`Last-Event-ID\`.
- **Rate limits.** \`RateLimit\` and \`RateLimit-Policy\` state the remaining requests. A request beyond the limit gets 429 with
  \`Retry-After\`.
- **Errors.** Every error is a problem document (RFC 9457). Each route lists the \`type\` of its problems.
- **Tracing.** \`traceresponse\` and \`X-Request-Id\` identify the request in Zipkin and in the logs. The gateway uses the
  \`traceparent\` and the \`X-Request-Id\` of the client.
- **gRPC.** \`sidecart.v1.OrderService\` has its own port (50051), with reflection and health checks.
- **Events.** [/asyncapi.json](/asyncapi.json) describes the events.
`.trim();

export const gateway = {
  name: 'gateway',
  summary: 'Gateway',
  api: gatewayApi,
  events: [],
  calls: {
    users: ['GET /sessions/revoked'],
    orders: ['GET /orders/:id/changes'],
  },
  subscribes: [subscribedTo(orderBroadcasts, 'orders.changed')],
  uses: [],
  config,
  metrics: METRICS,
  state: {},
  schemas: { Health: healthSchema, Order: orderSchema },
} satisfies ServiceDescription;
