import { createConfig, lintFromString, type RawUniversalConfig } from '@redocly/openapi-core';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SERVICES } from '../../services/services.ts';
import { environmentOf } from '../../services/shared/api-docs/environment.ts';
import { asyncApi } from '../../services/shared/api-docs/asyncapi.ts';
import type { Json } from '../../services/shared/api-docs/openapi-problems.ts';
import { openApi } from '../../services/shared/api-docs/openapi.ts';
import { APPS } from '../support/apps.ts';
import { startService } from '../support/service-under-test.ts';

const BEHIND_THE_GATEWAY = SERVICES.filter(({ name }) => name !== 'gateway');
type Case = [what: string, document: Json];
const OPENAPI: Case[] = [
  ['the gateway', openApi(SERVICES, 'public')],
  ...BEHIND_THE_GATEWAY.map((one): Case => [one.name, openApi([one], 'internal')]),
];
const ASYNCAPI: Case[] = [
  ['the gateway', asyncApi(SERVICES)],
  ...BEHIND_THE_GATEWAY.map((one): Case => [one.name, asyncApi([one])]),
];

const RULES: RawUniversalConfig = {
  extends: ['recommended'],
  rules: {
    // `/api/payments/ledger/{order_id}` and `/api/payments/{order_id}/refund`: an order's id is a UUID, which neither
    // `ledger` nor `refund` is.
    'no-ambiguous-paths': 'off',
  },
  async3Rules: {
    // The sidecars connect to the broker, with the credentials in components/.
    'security-defined': 'off',
  },
};

describe('GET /openapi.json and GET /asyncapi.json', () => {
  it('When the services are counted, then each one is in this test', () => {
    expect(Object.keys(APPS).toSorted()).toEqual(SERVICES.map(({ name }) => name).toSorted());
  });

  it.each(BEHIND_THE_GATEWAY.map((one) => [one.name, one] as const))(
    'When %s is called, then it returns its own documents',
    async (name, description) => {
      const service = await startService(APPS[name]!);
      onTestFinished(() => service.stop());
      const [api, events] = [
        await service.http.get('/openapi.json'),
        await service.http.get('/asyncapi.json'),
      ];
      expect([api.status, api.body]).toEqual([200, openApi([description], 'internal')]);
      expect([events.status, events.body]).toEqual([200, asyncApi([description])]);
    },
  );
});

describe('the documents', () => {
  it.each([
    ...OPENAPI.map(([whose, document]): Case => [`openapi.json of ${whose}`, document]),
    ...ASYNCAPI.map(([whose, document]): Case => [`asyncapi.json of ${whose}`, document]),
  ])('When %s is linted, then there are no findings', async (_what, document) => {
    const config = await createConfig(RULES);
    const problems = await lintFromString({ source: JSON.stringify(document), config });
    // A probe accepts every request.
    const isOfProbe = /^#\/paths\/~1(healthz|readyz|metrics)\/get\/responses$/;
    const found = problems.filter(({ location }) => !isOfProbe.test(location[0]?.pointer ?? ''));
    expect(
      found.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer ?? ''}`),
    ).toEqual([]);
  });

  it.each(OPENAPI)(
    'When openapi.json of %s has examples, then they match their schemas',
    (_whose, document) => {
      const ajv = addFormats.default(new Ajv2020({ strict: false, allErrors: true }));
      ajv.addSchema(document, 'document');
      const media = mediaTypesOf(document);
      for (const [pointer, { examples }] of media) {
        const validate = ajv.getSchema(`document#${pointer}/schema`)!;
        for (const [name, { value }] of Object.entries(examples))
          expect([pointer, name, validate(value) ? [] : validate.errors]).toEqual([pointer, name, []]);
      }
    },
  );

  it('openapi.json of a service describes what an implementation in another language needs', () => {
    const document = openApi([SERVICES.find(({ name }) => name === 'orders')!], 'internal');
    expect(Object.keys(document['paths'] as Json)).toEqual(
      expect.arrayContaining(['/healthz', '/readyz', '/metrics', '/orders/{id}/changes']),
    );
    expect(document['x-environment']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'APP_API_TOKEN', required: true }),
        expect.objectContaining({
          name: 'ORDER_PAYMENT_DEADLINE_MS',
          description: 'An order that is not paid after this time expires.',
          required: false,
          default: 900_000,
          example: '900000',
          rule: expect.stringContaining('must be a whole number') as string,
          bounds: { minimum: expect.any(Number) as number, maximum: expect.any(Number) as number },
          schema: { type: 'string', pattern: '^(0|[1-9]\\d{0,14})$' },
        }),
      ]),
    );
    expect(document['x-state']).toContainEqual({
      key: 'order:{order_id}',
      description: 'The events of an order.',
    });
    expect(document['x-invokes']).toMatchObject({ inventory: ['GET /products'] });
  });

  it('openapi.json of a service describes the state that its implementations share', () => {
    const document = openApi([SERVICES.find(({ name }) => name === 'payments')!], 'internal');
    expect(document['x-state']).toContainEqual(
      expect.objectContaining({
        key: 'payment:{order_id}',
        concurrency: 'first-write',
        schema: expect.objectContaining({
          required: expect.arrayContaining(['attempts']) as string[],
        }) as Json,
      }),
    );
    expect(document['x-state']).toContainEqual(
      expect.objectContaining({ key: 'idempotency:{operation}', ttlSeconds: 86_400 }),
    );
  });

  it.each(SERVICES.map(({ name, config }) => [name, config] as const))(
    'each variable of %s has a description',
    (_name, config) => {
      expect(environmentOf(config).filter(({ description }) => description === '')).toEqual([]);
    },
  );

  it('asyncapi.json of a service describes the events that it receives, and the meaning of its answers', () => {
    const { channels, operations } = asyncApi([SERVICES.find(({ name }) => name === 'fulfilment')!]) as {
      channels: Json;
      operations: Json;
    };
    expect(operations['fulfilment.receive.order.paid']).toMatchObject({
      action: 'receive',
      channel: { $ref: '#/channels/order.paid' },
      'x-http': {
        component: 'pubsub',
        path: '/events/order.paid',
        statuses: { SUCCESS: expect.any(String) as string, RETRY: expect.any(String) as string },
      },
    });
    expect(channels['order.paid']).toMatchObject({ address: 'order.paid' });
  });

  it('When an operation has an id in its path, then a response links to it', () => {
    const { paths } = openApi(SERVICES, 'public') as { paths: Record<string, Record<string, Linked>> };
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.values(methods).map((operation) => ({ path, ...operation })),
    );
    const linked = new Set(operations.flatMap(linksFrom).map(({ operationId }) => operationId));
    const alone = operations.filter(
      ({ path, operationId }) => path.includes('{') && !linked.has(operationId),
    );
    expect(alone.map(({ operationId }) => operationId)).toEqual([]);
  });

  it.each([
    ['an order is placed', 'postOrders', 'getOrdersByIdStream', { id: '$response.body#/order_id' }],
    ['orders are listed', 'getOrders', 'getPayments', { order_id: '$response.body#/items/0/order_id' }],
    ['orders are listed', 'getOrders', 'getOrders', { cursor: '$response.body#/next_cursor' }],
    ['an order is read', 'getOrdersById', 'getOrdersByIdEvents', undefined],
    [
      'dead letters are listed',
      'getAdminDeadLetters',
      'getAdminDeadLettersById',
      { id: '$response.body#/items/0/dead_letter_id' },
    ],
  ])('When %s by %s, then the link to %s has %o', (_what, from, to, parameters) => {
    const { paths } = openApi(SERVICES, 'public') as { paths: Record<string, Record<string, Linked>> };
    const source = Object.values(paths)
      .flatMap((methods) => Object.values(methods))
      .find(({ operationId }) => operationId === from)!;
    expect(linksFrom(source).find(({ operationId }) => operationId === to)?.parameters).toEqual(parameters);
  });

  it.each(OPENAPI)(
    'When openapi.json of %s links to an operation, then that operation has the parameter',
    (_whose, document) => {
      const { paths = {} } = document as { paths?: Record<string, Record<string, Linked>> };
      const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
      for (const { operationId, parameters } of operations.flatMap(linksFrom)) {
        const target = operations.find((one) => one.operationId === operationId);
        const names = target?.parameters?.map(({ name }) => name);
        expect([operationId, names]).toEqual([operationId, expect.arrayContaining(Object.keys(parameters))]);
      }
    },
  );

  it('When an operation has a JSON request or response, then it has an example', () => {
    const { paths } = openApi(SERVICES, 'public') as { paths: Record<string, Record<string, object>> };
    const silent = Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations)
        .filter(([, operation]) => jsonOf(operation).some((media) => !('examples' in media)))
        .map(([method]) => `${method.toUpperCase()} ${path}`),
    );
    // The documents do not describe their own routes.
    expect(silent).toEqual(['GET /openapi.json', 'GET /asyncapi.json']);
  });

  it.each(ASYNCAPI)(
    'When asyncapi.json of %s has examples, then they match their schemas',
    (whose, document) => {
      const { messages } = document['components'] as { messages: Record<string, Message> };
      for (const { name, payload, examples = [] } of Object.values(messages)) {
        const validate = addFormats.default(new Ajv({ strict: false, allErrors: true })).compile(payload);
        // Only the publisher of an event has an example.
        const isPublished = whose === 'the gateway' || payload.properties.source.const === whose;
        expect([name, examples.length > 0]).toEqual([name, isPublished]);
        for (const example of examples)
          expect([name, validate(example.payload) ? [] : validate.errors]).toEqual([name, []]);
      }
    },
  );
});

interface Message {
  name: string;
  payload: Json & { properties: { source: { const: string } } };
  examples?: { payload: unknown }[];
}

interface MediaType {
  schema: Json;
  examples: Record<string, { value: unknown }>;
}

/** The schemas with examples in a document, by JSON pointer (RFC 6901) as part of a URI. */
function mediaTypesOf(node: unknown, pointer = ''): [pointer: string, MediaType][] {
  if (typeof node !== 'object' || node === null) return [];
  if ('schema' in node && 'examples' in node) return [[pointer, node as MediaType]];
  return Object.entries(node).flatMap(([key, child]) =>
    mediaTypesOf(child, `${pointer}/${encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))}`),
  );
}

/** The JSON request and the successful JSON responses of an operation. */
function jsonOf({ requestBody, responses = {} }: Operation): object[] {
  const needed = requestBody?.required ? [requestBody] : [];
  const successes = Object.entries(responses).filter(([status]) => status.startsWith('2'));
  return [...needed, ...successes.map(([, response]) => response)].flatMap(
    ({ content }) => content?.['application/json'] ?? [],
  );
}

interface Linked {
  operationId: string;
  parameters?: { name: string }[];
  responses: Record<string, { links?: Record<string, Link> }>;
}

interface Link {
  operationId: string;
  parameters: Record<string, string>;
}

const linksFrom = ({ responses }: Linked): Link[] =>
  Object.values(responses).flatMap(({ links = {} }) => Object.values(links));

interface Operation {
  requestBody?: Content & { required: boolean };
  responses?: Record<string, Content>;
}

interface Content {
  content?: Record<string, object>;
}
