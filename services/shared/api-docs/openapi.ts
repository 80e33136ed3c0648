import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import { parseRouteKey, type Operation, type ServiceDescription } from './route-table.ts';
import { linksOf, type Described } from './openapi-links.ts';
import { problemsOf, type Audience, type Json } from './openapi-problems.ts';
import { PROBES, RULES, serviceMembers } from './openapi-service.ts';
import { problemSchema } from '../http/problem.ts';

/**
 * Generates an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1.html) from the schemas that validate the requests.
 * The public document omits internal routes. The internal document of a service also has its probes and, as `x-` members, its
 * environment and state.
 */
export function openApi(
  services: readonly ServiceDescription[],
  audience: Audience,
  about = services.map(({ summary }) => summary).join('. '),
): Json {
  const isInternal = audience === 'internal';
  const paths: Record<string, Json> = isInternal ? { ...PROBES } : {};
  const named: Record<string, z.ZodType> = { Problem: problemSchema };
  for (const { schemas } of services) Object.assign(named, schemas);
  const described = services.flatMap(({ name, api }) =>
    Object.entries(api)
      .filter(([, { access }]) => audience === 'internal' || access !== 'internal')
      .map(([address, operation]) => {
        const { method, path } = parseRouteKey(address);
        return { id: operationId(method, path), service: name, method, path, operation };
      }),
  );
  for (const one of described) {
    const template = one.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[template] = {
      ...paths[template],
      [one.method.toLowerCase()]: {
        operationId: one.id,
        tags: [one.service],
        ...describe(one, described, audience, named),
      },
    };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: audience === 'public' ? 'Sidecart' : `Sidecart: ${services.map(({ name }) => name).join(', ')}`,
      version: '1',
      description: isInternal
        ? [about, RULES, ...services.flatMap(({ behaviour }) => behaviour ?? [])].join('\n\n')
        : about,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: [
      ...services.map(({ name, summary }) => ({ name, description: summary })),
      ...(isInternal ? [{ name: 'probes', description: 'Probes and metrics' }] : []),
    ],
    paths,
    components: {
      schemas: namedSchemas(named),
      ...(described.length > 0 ? { securitySchemes: securitySchemesOf(audience) } : {}),
    },
    ...(isInternal ? serviceMembers(services) : {}),
  };
}

const securitySchemesOf = (audience: Audience): Json =>
  audience === 'public'
    ? { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } }
    : { sidecar: { type: 'apiKey', in: 'header', name: 'dapr-api-token' } };

function describe(
  described: Described,
  all: readonly Described[],
  audience: Audience,
  named: Record<string, z.ZodType>,
): Json {
  const { operation } = described;
  const { access, summary, description, body, examples } = operation;
  const parameters = parametersOf(operation, audience);
  return {
    summary: access === 'admin' ? `${summary} (administrators)` : summary,
    ...(description === undefined ? {} : { description }),
    ...(audience === 'internal' && operation.operation ? { 'x-operation': operation.operation } : {}),
    ...(audience === 'internal' ? { 'x-access': access } : {}),
    security: audience === 'internal' ? [{ sidecar: [] }] : access === 'public' ? [] : [{ token: [] }],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body
      ? {
          requestBody: {
            required: !isOptional(body),
            content: {
              'application/json': {
                schema: toSchema(body, 'input'),
                ...(examples ? { examples: toExamples(examples) } : {}),
              },
            },
          },
        }
      : {}),
    responses: responsesOf(operation, linksOf(described, all), audience, named),
  };
}

const toExamples = (examples: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(
    Object.entries(examples).map(([summary, value]) => [
      summary.toLowerCase().replaceAll(' ', '-'),
      { summary, value },
    ]),
  );

const SAME_AGAIN = 'A retry with the same key gets the same response, and nothing is done twice.';
const VISIBLE = { type: 'string', pattern: '^[!-~]{1,255}$' };

function parametersOf(
  { params, query, idempotent, etag, creates, body, access, headers }: Operation,
  to: Audience,
) {
  const text = { type: 'string' };
  const header = (name: string, description: string, required = false, schema: Json = text) => ({
    name,
    in: 'header',
    required,
    schema,
    description,
  });
  return [
    ...(params ? propertiesOf('path', params) : []),
    ...(query ? propertiesOf('query', query) : []),
    ...(idempotent ? [header('Idempotency-Key', SAME_AGAIN, false, VISIBLE)] : []),
    ...(etag && !body
      ? [header('If-None-Match', 'An ETag. The response is 304 if the resource still has this ETag.')]
      : []),
    ...(etag && body
      ? [header('If-Match', 'An ETag. The response is 412 if the resource has another ETag.')]
      : []),
    ...(creates ? [header('If-None-Match', '`*`: the response is 412 if the resource already exists.')] : []),
    ...Object.entries(headers ?? {}).map(([name, { description, pattern }]) =>
      header(name, description, false, { type: 'string', pattern }),
    ),
    ...(to === 'internal' && (access === 'customer' || access === 'admin')
      ? [
          header('x-caller-id', 'The id of the caller, set by the gateway.', true),
          header('x-caller-role', 'The role of the caller, set by the gateway.', true, {
            enum: ['customer', 'admin'],
          }),
        ]
      : []),
  ];
}

function propertiesOf(place: 'path' | 'query', schema: z.ZodObject): Json[] {
  const { properties = {}, required = [] } = toSchema(schema, 'input') as {
    properties?: Json;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: property,
  }));
}

function responsesOf(
  operation: Operation,
  links: Json,
  audience: Audience,
  named: Record<string, z.ZodType>,
): Json {
  const {
    status = 200,
    response,
    responseExample,
    mediaType = 'application/json',
    etag,
    creates,
    body,
    errorResponses = {},
  } = operation;
  const success: Json = {
    description: STATUS_CODES[status] ?? '',
    ...(etag ? { headers: { ETag: { schema: { type: 'string' } } } } : {}),
    ...(response
      ? {
          content: {
            [mediaType]: {
              schema: reference(named, response) ?? toSchema(response, 'output'),
              ...(responseExample === undefined ? {} : { examples: { answer: { value: responseExample } } }),
            },
          },
        }
      : {}),
    ...(Object.keys(links).length > 0 ? { links } : {}),
  };
  return {
    [status]: success,
    ...(operation.mayBeEmpty ? { 204: { description: 'No more events' } } : {}),
    ...(creates ? { 201: { ...success, description: 'Created' } } : {}),
    ...(etag && !body ? { 304: { description: 'Not modified' } } : {}),
    ...problemsOf(operation, audience),
    ...Object.fromEntries(
      Object.entries(errorResponses).map(([failure, schema]) => [
        failure,
        {
          description: 'The service is unavailable.',
          content: { 'application/json': { schema: reference(named, schema) ?? toSchema(schema, 'output') } },
        },
      ]),
    ),
  };
}

/** Whether a request may omit the body. */
export const isOptional = (body: z.ZodType): boolean => body.safeParse(undefined).success;

/** `GET /api/orders/:id/events` is `getOrdersByIdEvents`. */
function operationId(method: string, path: string): string {
  const words = path
    .split(/[/.-]/)
    .filter((word) => word && word !== 'api')
    .map((word) => (word.startsWith(':') ? `by_${word.slice(1)}` : word))
    .join('_');
  return `${method.toLowerCase()}_${words}`.replaceAll(/_([a-z])/g, (_, letter: string) =>
    letter.toUpperCase(),
  );
}

function reference(named: Record<string, z.ZodType>, schema: z.ZodType): Json | undefined {
  const name = Object.keys(named).find((key) => named[key] === schema);
  return name ? { $ref: `#/components/schemas/${name}` } : undefined;
}

function namedSchemas(named: Record<string, z.ZodType>): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, bare(schema)]));
}

function toSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  return bare(z.toJSONSchema(schema, { io }));
}

/** Removes `$schema` and `$id` from a schema that is part of a document. */
function bare(schema: Json): Json {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== '$schema' && name !== '$id'));
}
