import { SERVICES } from '../../services/services.ts';
import { asyncApi } from '../../services/shared/api-docs/asyncapi.ts';
import { openApi } from '../../services/shared/api-docs/openapi.ts';
import { createAsyncApiCheck, createOpenApiCheck } from '../support/json-schema.ts';

export type Json = Record<string, unknown>;

interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required: boolean;
  schema: Json;
}

export interface Operation {
  /** In the syntax of OpenAPI: `/api/payments/{order_id}/refund`. */
  path: string;
  method: string;
  'x-access'?: 'public' | 'customer' | 'admin' | 'internal';
  parameters?: Parameter[];
  requestBody?: {
    content: { 'application/json': { schema: Json; examples?: Record<string, { value: Json }> } };
  };
  responses: Record<string, { content?: Record<string, { schema: Json }> }>;
}

interface OpenApiDocument {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json> };
  'x-environment': { name: string; required: boolean; example?: string; schema?: Json }[];
  'x-state': { key: string; schema?: Json; ttlSeconds?: number }[];
  'x-metrics': {
    type: string;
    name: string;
    labels: Record<string, string | string[]>;
    buckets?: number[];
  }[];
}

interface AsyncApiDocument {
  operations: Record<
    string,
    { action: 'send' | 'receive'; channel: { $ref: string }; 'x-http'?: { path: string } }
  >;
  components: { messages: Record<string, { payload: Json; examples?: { payload: Json }[] }> };
}

/** The documents of a service, and checks of what the service does against them. */
export function documentsOf(name: string) {
  const service = SERVICES.find((one) => one.name === name)!;
  const openapi = openApi([service], 'internal') as unknown as OpenApiDocument;
  const asyncapi = asyncApi([service]) as unknown as AsyncApiDocument;
  // Only the publisher of an event has an example.
  const all = asyncApi(SERVICES) as unknown as AsyncApiDocument;
  const checkSchema = createOpenApiCheck(openapi);
  const checkEvent = createAsyncApiCheck();
  const operations = Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({ ...one, path, method: method.toUpperCase() })),
  );
  const channelOf = ({ channel }: { channel: { $ref: string } }) => channel.$ref.replace('#/channels/', '');

  return {
    openapi,
    operations,
    routes: operations.filter((one) => one['x-access'] !== undefined),
    /** The events that the service receives, with an example of each. */
    received: Object.values(asyncapi.operations).flatMap((operation) => {
      if (operation.action !== 'receive') return [];
      const type = channelOf(operation);
      const event = all.components.messages[type]!.examples![0]!.payload;
      return [{ type, event, schema: asyncapi.components.messages[type]!.payload }];
    }),
    checkSchema,
    /** What is wrong with a response; undefined if the document has it. */
    problemOf(
      method: string,
      path: string,
      { status, type, body }: { status: number; type: string; body: unknown },
    ) {
      const operation = operations.find(
        (one) =>
          one.method === method && new RegExp(`^${one.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path),
      );
      const found = operation?.responses[String(status)];
      if (type.startsWith('application/problem+json') && !(operation && found))
        return checkSchema({ $ref: '#/components/schemas/Problem' }, body);
      if (!operation) return undefined;
      if (!found) return `openapi.json has no status ${status} for ${method} ${operation.path}`;
      const media = type.split(';')[0] ?? '';
      const content = found.content?.[media];
      if (found.content && !content && !media.startsWith('text/plain'))
        return `openapi.json has no ${media} for ${status}`;
      const violation = content && media.includes('json') ? checkSchema(content.schema, body) : undefined;
      return violation && `openapi.json, ${method} ${operation.path}, ${status}: ${violation}`;
    },
    /** What is wrong with a published event. */
    problemOfEvent(event: { type: string }) {
      const message = asyncapi.components.messages[event.type];
      if (!message) return `asyncapi.json does not publish ${event.type}`;
      const violation = checkEvent(message.payload, event);
      return violation && `asyncapi.json, ${event.type}: ${violation}`;
    },
    /** What is wrong with a stored document. */
    problemOfDocument(key: string, document: { value: unknown; ttlSeconds?: number }) {
      const described = openapi['x-state']
        .toSorted((one, other) => other.key.length - one.key.length)
        .find((form) => new RegExp(`^${form.key.replaceAll(/\{[^}]*\}/g, '.+')}$`).test(key));
      if (!described) return `openapi.json, x-state: no form has the key ${key}`;
      if (described.ttlSeconds !== document.ttlSeconds)
        return `openapi.json, x-state, ${described.key}: the time to live is ${document.ttlSeconds}`;
      const violation = described.schema && checkSchema(described.schema, document.value);
      return violation && `openapi.json, x-state, ${described.key}: ${violation}`;
    },
  };
}

export type Documents = ReturnType<typeof documentsOf>;
