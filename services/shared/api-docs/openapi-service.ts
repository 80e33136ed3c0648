import { IDEMPOTENCY_TTL_SECONDS, storedResponseSchema } from '../http/idempotency.ts';
import { COMMON_METRICS } from '../telemetry/common-metrics.ts';
import type { MetricDeclaration } from '../telemetry/metrics.ts';
import { environmentOf } from './environment.ts';
import type { Json } from './openapi-problems.ts';
import { z } from 'zod';
import type { ServiceApi, ServiceDescription, StateDescription } from './route-table.ts';

/** The rules for every route of every service, which the schemas do not express. */
export const RULES = [
  'The service answers only its sidecar: a request without the header `dapr-api-token` and the value of `APP_API_TOKEN` gets 401.',
  'Every error is a problem document (RFC 9457, `application/problem+json`). The gateway turns any other 5xx into a 503.',
  'Every response with status 200 has a body. A sidecar sends an empty 200 if the service is stopping.',
  'A body may arrive in chunks, and without a content type if it is empty.',
  'Calls to the sidecar pass on `traceparent`, `tracestate` and `x-request-id`, and send `dapr-api-token` with `DAPR_API_TOKEN`.',
].join('\n');

const probe = (name: string, summary: string, unavailable: boolean, mediaType: string): Json => ({
  get: {
    operationId: name,
    tags: ['probes'],
    summary,
    security: [],
    responses: {
      200: { description: 'OK', content: { [mediaType]: { schema: {} } } },
      ...(unavailable
        ? {
            503: {
              description: 'The service is starting, or its sidecar is unavailable.',
              content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
            },
          }
        : {}),
    },
  },
});

/** The probes of every service. */
export const PROBES: Readonly<Record<string, Json>> = {
  '/healthz': probe('getHealthz', 'Whether the process is alive', false, 'application/json'),
  '/readyz': probe('getReadyz', 'Whether the service and its sidecar are ready', true, 'application/json'),
  '/metrics': probe(
    'getMetrics',
    'Metrics in the format of OpenMetrics, or of Prometheus',
    false,
    'application/openmetrics-text',
  ),
};

/**
 * What an implementation of these services needs besides the routes, as members of the document: the environment, the keys in
 * the state store, the metrics, the headers, and the routes of other services that it invokes.
 */
export function serviceMembers(services: readonly ServiceDescription[]): Json {
  return {
    'x-contract': 'services/CONTRACT.md',
    'x-environment': services.flatMap(({ config }) => environmentOf(config)),
    'x-state': services.flatMap(({ state, api }) =>
      Object.entries({ ...state, ...(isIdempotent(api) ? STORED_RESPONSES : {}) }).map(([key, stored]) => ({
        key,
        ...documentOf(stored),
      })),
    ),
    'x-invokes': Object.assign({}, ...services.map(({ calls }) => calls)) as Json,
    'x-headers': PASSED_ON,
    'x-metrics': services.flatMap(metricsOf),
  };
}

/** The metrics of a service: its own, and those that every service of its kind has. */
export function metricsOf({ subscribes, state, metrics = {} }: ServiceDescription): MetricDeclaration[] {
  const { redeliveries, workListEntries, workListLate, ...common } = COMMON_METRICS;
  return [
    ...Object.values(common),
    ...(subscribes.length > 0 ? [redeliveries] : []),
    ...('worklist:{shard}' in state ? [workListEntries, workListLate] : []),
    ...Object.values(metrics),
  ];
}

function documentOf(stored: string | StateDescription): Json {
  if (typeof stored === 'string') return { description: stored };
  const { schema, ...described } = stored;
  const { $schema: _, ...form } = z.toJSONSchema(schema, { io: 'input' });
  return { ...described, concurrency: 'first-write', schema: form };
}

/** The headers that a request brings along, and what becomes of them. */
const PASSED_ON = {
  traceparent: 'W3C trace context. Continue this trace, and send it with every call to the sidecar.',
  tracestate: 'W3C trace context. Send it unchanged with every call to the sidecar.',
  'x-request-id': 'Send it with every call to the sidecar and with the response. Log it as `request_id`.',
  'x-caller-id': 'The user who calls. Log it as `caller_id`. It is for this service only.',
  'x-caller-role': '`customer` or `admin`. It is for this service only.',
  'dapr-caller-app-id': 'The app whose sidecar calls. Log it as `caller_app`.',
} as const;

const isIdempotent = (api: ServiceApi) => Object.values(api).some(({ idempotent }) => idempotent);

/** `http/idempotency.ts` keeps them. */
const STORED_RESPONSES: Readonly<Record<string, StateDescription>> = {
  'idempotency:{operation}': {
    description: 'The stored response of a request with an Idempotency-Key, for a day.',
    schema: storedResponseSchema,
    ttlSeconds: IDEMPOTENCY_TTL_SECONDS,
  },
};
