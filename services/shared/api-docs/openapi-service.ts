import { environmentOf } from './environment.ts';
import type { Json } from './openapi-problems.ts';
import type { ServiceApi, ServiceDescription } from './route-table.ts';

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
    'Metrics in the format of OpenMetrics',
    false,
    'application/openmetrics-text',
  ),
};

/**
 * What an implementation of these services needs besides the routes, as members of the document: the environment, the keys in
 * the state store, and the routes of other services that it invokes.
 */
export function serviceMembers(services: readonly ServiceDescription[]): Json {
  return {
    'x-environment': services.flatMap(({ config }) => environmentOf(config)),
    'x-state': services.flatMap(({ state, api }) =>
      Object.entries({ ...state, ...(isIdempotent(api) ? STORED_RESPONSES : {}) }).map(
        ([key, description]) => ({
          key,
          description,
        }),
      ),
    ),
    'x-invokes': Object.assign({}, ...services.map(({ calls }) => calls)) as Json,
  };
}

const isIdempotent = (api: ServiceApi) => Object.values(api).some(({ idempotent }) => idempotent);

/** `http/idempotency.ts` keeps them. */
const STORED_RESPONSES = {
  'idempotency:{operation}': 'The stored response of a request with an Idempotency-Key, for a day.',
};
