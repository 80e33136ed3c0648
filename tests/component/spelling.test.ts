import type { Express } from 'express';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { fulfilment } from '../../services/fulfilment/api.ts';
import { createApp as createFulfilment } from '../../services/fulfilment/app.ts';
import { createApp as createGateway } from '../../services/gateway/app.ts';
import { routes } from '../../services/gateway/routes.ts';
import { history } from '../../services/history/api.ts';
import { createApp as createHistory } from '../../services/history/app.ts';
import { inventory } from '../../services/inventory/api.ts';
import { createApp as createInventory } from '../../services/inventory/app.ts';
import { notifications } from '../../services/notifications/api.ts';
import { createApp as createNotifications } from '../../services/notifications/app.ts';
import { orders } from '../../services/orders/api.ts';
import { createApp as createOrders } from '../../services/orders/app.ts';
import { payments } from '../../services/payments/api.ts';
import { createApp as createPayments } from '../../services/payments/app.ts';
import { createSimulatedProvider } from '../../services/payments/simulated-provider.ts';
import {
  EXAMPLE,
  parseRouteKey,
  type Operation,
  type ServiceDescription,
} from '../../services/shared/api-docs/route-table.ts';
import type { ServiceDeps } from '../../services/shared/runtime/service-app.ts';
import { id } from '../../services/shared/schemas/types.ts';
import { returns } from '../../services/returns/api.ts';
import { createReturns } from '../../services/returns/app.ts';
import { users } from '../../services/users/api.ts';
import { createApp as createUsers } from '../../services/users/app.ts';
import { stubUsersService, createKey, signToken } from '../support/access-tokens.ts';
import { gatewayOptions } from '../support/gateway-options.ts';
import { returnsOptions } from '../support/returns-options.ts';
import { asCaller, startService, type ServiceUnderTest } from '../support/service-under-test.ts';
import { createFastPasswords } from '../support/fast-passwords.ts';

/** An id in capitals is the same id: every input converts it to lower case. */

const TIME = '2026-01-05T09:30:00.000Z';
const now = () => new Date('2026-01-05T09:31:00.000Z');
const ADMIN = '01940f8a-aaaa-7a54-8c0e-6f1b2d3c4e5f';
const SESSION = '01940f8a-bbbb-7a54-8c0e-6f1b2d3c4e5f';

const AN_ID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b/g;
const IN_CAPITALS = /[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}|\b(?=[0-9]*[A-F])[0-9A-F]{32}\b/;
const capitals = (text: string) => text.replaceAll(AN_ID, (one) => one.toUpperCase());
const asIs = (text: string) => text;
type Spelling = (text: string) => string;

const order = {
  order_id: EXAMPLE.order,
  customer_id: EXAMPLE.customer,
  items: [{ product_id: EXAMPLE.product, name: 'Mug', quantity: 2, unit_price: 1290 }],
  total: 2580,
  currency: 'EUR',
  version: 1,
  created_at: TIME,
  updated_at: TIME,
};
const mug = { product_id: EXAMPLE.product, name: 'Mug', unit_price: 1290, currency: 'EUR', on_hand: 40 };
const { items, total, currency, customer_id } = order;
const created = {
  type: 'order.created',
  version: 1,
  time: TIME,
  data: { customer_id, items, total, currency },
};

/** Prepares the data of each service. */
interface World {
  description: ServiceDescription;
  build: (deps: ServiceDeps) => Express;
  documents: Record<string, unknown>;
  /** The kind of id that `:id` is in a path. */
  ids?: (path: string) => string;
}

/** A return in a status, and the routes that accept that status. */
function returnsIn(status: string, accepts: (address: string) => boolean): World {
  const line = { ...items[0], quantity: 1 };
  return {
    description: {
      ...returns,
      api: Object.fromEntries(Object.entries(returns.api).filter(([address]) => accepts(address))),
    },
    build: (deps) => createReturns({ ...deps, ...returnsOptions(), now }).app,
    documents: {
      [`return:${EXAMPLE.return}`]: {
        return_id: EXAMPLE.return,
        order_id: EXAMPLE.order,
        customer_id: EXAMPLE.customer,
        items: [line],
        total,
        currency,
        reason: 'too small',
        received: [],
        created_at: TIME,
        milestones: [{ status, at: TIME }],
        published: 1,
      },
      [`order-returns:${EXAMPLE.order}`]: { order_id: EXAMPLE.order, return_ids: [EXAMPLE.return] },
    },
    ids: (path) => (path.startsWith('/api/orders') ? EXAMPLE.order : EXAMPLE.return),
  };
}

const FIXTURES: World[] = [
  {
    description: orders,
    build: (deps) => createOrders({ ...deps, watchdogIntervalMs: 1_000, paymentDeadlineMs: 60_000, now }),
    documents: {
      [`order:${EXAMPLE.order}`]: {
        order_id: EXAMPLE.order,
        events: [created],
        payment: { method: 'card', card_token: 'tok_visa' },
        request_hash: 'hash',
      },
    },
    ids: () => EXAMPLE.order,
  },
  {
    description: inventory,
    build: (deps) => createInventory({ ...deps, catalogue: [{ ...mug, low_stock_threshold: 5 }] }),
    documents: {
      [`reservation:${EXAMPLE.order}`]: { order_id: EXAMPLE.order, status: 'SOLD', lines: [], time: TIME },
    },
  },
  {
    description: payments,
    build: (deps) =>
      createPayments({
        ...deps,
        provider: createSimulatedProvider({ state: deps.sidecar.state, now, slowMs: 10 }),
        now,
        timeoutMs: 1_000,
        maxAttempts: 3,
      }),
    documents: {
      [`payment:${EXAMPLE.order}`]: {
        payment_id: EXAMPLE.payment,
        order_id: EXAMPLE.order,
        customer_id: EXAMPLE.customer,
        status: 'CAPTURED',
        amount: 2580,
        refunded: 0,
        currency: 'EUR',
        attempts: 0,
        updated_at: TIME,
      },
      [`ledger:${EXAMPLE.order}`]: { captures: [{ amount: 2580, at: TIME }], refunds: [] },
    },
  },
  {
    description: fulfilment,
    build: (deps) =>
      createFulfilment({ ...deps, delays: () => ({ dispatchAfterMs: 10, deliverAfterMs: 10 }), now }),
    documents: {},
  },
  {
    description: history,
    build: (deps) => createHistory({ ...deps, now }),
    documents: {
      [`order:${EXAMPLE.order}`]: { ...order, status: 'PENDING' },
      [`dead-letter:${EXAMPLE.deadLetter}`]: {
        dead_letter_id: EXAMPLE.deadLetter,
        type: 'payment.failed',
        event_id: 'event-1',
        received_at: TIME,
        redriven: 0,
        event: { specversion: '1.0', id: 'event-1', source: 'payments', type: 'payment.failed', data: {} },
      },
    },
    ids: () => EXAMPLE.deadLetter,
  },
  returnsIn('REQUESTED', (address) => !address.endsWith('/receive')),
  returnsIn('APPROVED', (address) => address.endsWith('/receive')),
  {
    description: notifications,
    build: (deps) => createNotifications({ ...deps, bindings: ['email'] }),
    documents: {
      [`recipient:${EXAMPLE.customer}`]: {
        user_id: EXAMPLE.customer,
        email: 'ada@example.com',
        name: 'Ada',
        version: 1,
      },
    },
  },
  {
    description: users,
    build: (deps) =>
      createUsers({
        ...deps,
        tokenTtlSeconds: 60,
        refreshTtlSeconds: 60,
        keyRotationSeconds: 600,
        passwords: createFastPasswords(),
        now,
        clock: () => 0,
      }),
    documents: {
      [`user:${EXAMPLE.customer}`]: {
        user_id: EXAMPLE.customer,
        email: 'ada@example.com',
        name: 'Ada',
        role: 'customer',
        password_hash: 'none',
        version: 2,
        changed_at: TIME,
      },
    },
    ids: () => EXAMPLE.customer,
  },
];

/** Queries with ids. The test checks that this list is complete. */
const QUERIES: Record<string, Record<string, string>> = {
  'GET /api/payments': { order_id: EXAMPLE.order },
  'GET /api/orders': { customer_id: EXAMPLE.customer },
  'GET /api/admin/orders': { customer_id: EXAMPLE.customer },
  'GET /orders': { ids: EXAMPLE.order },
  'GET /products': { ids: EXAMPLE.product },
};
/** Bodies with ids, and bodies whose first example does not fit the prepared data. */
const BODIES: Record<string, object> = {
  'POST /api/orders': { product_id: EXAMPLE.product, quantity: 1, customer_id: EXAMPLE.customer },
  'PUT /api/orders/:id/status': { status: 'CANCELLED' },
};

let service: ServiceUnderTest;
afterEach(() => service.stop());

async function enter({ build, documents }: World): Promise<void> {
  service = await startService(build);
  for (const [key, value] of Object.entries(documents))
    service.sidecar.documents.set(key, { value, etag: `"${key}"` });
  service.sidecar.answer('inventory', () => ({
    status: 200,
    body: { items: [{ ...mug, reserved: 0, available: 40 }] },
  }));
  service.sidecar.answer('orders', () => ({
    status: 200,
    body: { items: [{ ...order, status: 'DELIVERED' }], next_cursor: null },
  }));
  service.sidecar.answer('users', () => ({ status: 200 }));
  service.sidecar.answer('fulfilment', () => ({ status: 200, body: { status: 'STOPPED' } }));
  await vi.waitFor(async () => expect((await service.http.get('/readyz')).status).toBe(200), 5_000);
}

/** Everything that a service saves, publishes or calls. */
function traces(): string {
  const { documents, jobs, published, calls } = service.sidecar;
  const recordedCalls = calls.map(({ target, method, path, body, headers }) => [
    target,
    method,
    path,
    body,
    headers['x-caller-id'],
  ]);
  return JSON.stringify([[...documents], [...jobs], published, recordedCalls]);
}

/** The keys of documents and jobs. The shard of a work list is chosen at random, and the job of its sweep begins at any time. */
const keys = () =>
  [...service.sidecar.documents.keys(), ...service.sidecar.jobs.keys()]
    .map((key) => key.replace(/^worklist:.*/, 'worklist'))
    .filter((key) => key !== 'sweep')
    .toSorted();

async function ask(fixture: World, address: string, operation: Operation, spell: Spelling) {
  await enter(fixture);
  const { method, path } = parseRouteKey(address);
  const names = {
    id: fixture.ids?.(path) ?? '',
    order_id: EXAMPLE.order,
    customer_id: EXAMPLE.customer,
    return_id: EXAMPLE.return,
  };
  const known: Record<string, string> = { ...names, product_id: EXAMPLE.product };
  const query = new URLSearchParams(QUERIES[address]);
  const target = `${path.replaceAll(/:(\w+)/g, (_, name: string) => known[name] ?? name)}?${query.toString()}`;
  const caller = operation.access === 'admin' ? asCaller(ADMIN, 'admin') : asCaller(EXAMPLE.customer);
  // The sidecar adds this header: only this service may read a payment method.
  const headers = { ...caller, 'x-caller-session': SESSION, 'dapr-caller-app-id': 'payments' };
  const body = BODIES[address] ?? (Object.values(operation.examples ?? {})[0] as object | undefined);
  const response = await service.http[method.toLowerCase() as 'get'](spell(target))
    .set(JSON.parse(spell(JSON.stringify(headers))) as Record<string, string>)
    .set(operation.idempotent ? { 'idempotency-key': 'key-1' } : {})
    .send(body && (JSON.parse(spell(JSON.stringify(body))) as object));
  return { status: response.status, body: response.body as object, headers: response.headers, keys: keys() };
}

const isNamedByIds = ([, { access, params, query }]: [string, Operation]) =>
  access === 'customer' || access === 'admin' || params !== undefined || query !== undefined;

const ADDRESSES = FIXTURES.flatMap((fixture) =>
  Object.entries<Operation>(fixture.description.api)
    .filter(isNamedByIds)
    .map(([address, operation]) => ({ address, operation, fixture })),
);

/** The fields of a schema, or of all its alternatives. */
function fieldsOf(schema: z.ZodType | undefined): string[] {
  if (schema instanceof z.ZodObject) return Object.keys(schema.shape);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((one) => fieldsOf(one as z.ZodType));
  return schema instanceof z.ZodOptional ? fieldsOf(schema.unwrap() as z.ZodType) : [];
}

/** Ids in the query or body of a route that this test does not send. */
function missingIds(address: string, { query, body }: Operation): string[] {
  const sent = { ...QUERIES[address], ...BODIES[address] };
  return [...fieldsOf(query), ...fieldsOf(body)].filter(
    (name) => /(_id|^ids?)$/.test(name) && !(name in sent),
  );
}

describe('the addresses of all services', () => {
  it.each(ADDRESSES)(
    'When $address gets ids in capitals, then the result is that of lower case',
    async ({ address, operation, fixture }) => {
      expect(missingIds(address, operation)).toEqual([]);
      const inLowerCase = await ask(fixture, address, operation, asIs);
      expect(inLowerCase.status).toBeLessThan(300);
      await service.stop();
      const inCapitals = await ask(fixture, address, operation, capitals);
      const { date: _, 'x-request-id': __, ...headers } = inLowerCase.headers;
      expect(inCapitals).toMatchObject({ ...inLowerCase, headers });
      expect(traces()).not.toMatch(IN_CAPITALS);
    },
    15_000,
  );
});

const EVENTS = FIXTURES.flatMap(({ description }) =>
  description.events.flatMap(({ descriptions }) =>
    Object.entries(descriptions).map(([type, { example }]) => ({ type, example })),
  ),
);

describe('the events of all services', () => {
  it.each(FIXTURES)(
    'When $description.name receives ids in capitals, then it saves lower case',
    async (fixture) => {
      await enter(fixture);
      const isReceived = await Promise.all(
        EVENTS.map(async ({ type }) => (await service.deliver(type, {})) === 'DROP'),
      );
      expect(isReceived.includes(true)).toBe(fixture.description.name !== 'users');
      await service.stop();
      for (const { type, example } of EVENTS.filter((_, position) => isReceived[position])) {
        const run = async (spell: Spelling) => {
          await enter(fixture);
          const status = await service.deliver(type, JSON.parse(spell(JSON.stringify(example))));
          return { type, status, keys: keys() };
        };
        const inLowerCase = await run(asIs);
        await service.stop();
        expect(await run(capitals)).toEqual(inLowerCase);
        expect(traces()).not.toMatch(IN_CAPITALS);
        await service.stop();
      }
      await enter(fixture);
    },
    60_000,
  );
});

describe('the gateway', () => {
  const addresses = routes.filter(({ service: of, params }) => of !== 'gateway' && params);

  it('When a path or a token has ids in capitals, then every route accepts it, and the caller is in lower case', async () => {
    service = await startService((deps) => createGateway({ ...deps, ...gatewayOptions() }));
    const key = await createKey('key-1');
    for (const { service: name } of addresses)
      service.sidecar.answer(name, () => ({ status: 200, body: {} }));
    stubUsersService(service.sidecar, { keys: [key] });
    const claims = { sub: capitals(ADMIN), role: 'admin', sid: capitals(SESSION) };
    const token = await signToken(key, claims);
    for (const { method, path, examples = {} } of addresses) {
      const of = path.includes('dead-letters') ? EXAMPLE.deadLetter : EXAMPLE.order;
      const target = capitals(path.replace(':product_id', EXAMPLE.product).replaceAll(/:\w+/g, of));
      service.sidecar.calls.length = 0;
      const { status } = await service.http[method.toLowerCase() as 'get'](target)
        .set('authorization', `Bearer ${token}`)
        .send(Object.values(examples)[0] as object | undefined);
      expect([target, status]).toEqual([target, 200]);
      const forwarded = service.sidecar.calls.find((call) => call.path === target);
      expect(forwarded?.headers).toMatchObject({ 'x-caller-id': ADMIN, 'x-caller-session': SESSION });
    }
  });
});

describe('the schema of ids', () => {
  beforeEach(async () => {
    service = await startService((deps) => createNotifications({ ...deps, bindings: ['email'] }));
  });

  it.each([
    ['in braces', `{${EXAMPLE.order}}`],
    ['as a URN', `urn:uuid:${EXAMPLE.order}`],
    ['without hyphens', EXAMPLE.order.replaceAll('-', '')],
    ['with a blank', ` ${EXAMPLE.order}`],
    ['in fullwidth letters', EXAMPLE.order.replace('f', '\uff46')],
  ])('When an id is written %s, then it is invalid', (_, given) => {
    expect(id.safeParse(given).success).toBe(false);
  });

  it('When it is documented, then it is a UUID, in requests and responses', () => {
    for (const io of ['input', 'output'] as const)
      expect(z.toJSONSchema(id, { io })).toMatchObject({ type: 'string', format: 'uuid' });
  });
});

describe('an order that an administrator places for Ada', () => {
  it('When her id is in capitals, then the order is hers', async () => {
    const fixture = FIXTURES[0] as World;
    await enter(fixture);
    const body = { product_id: EXAMPLE.product, quantity: 1, customer_id: EXAMPLE.customer.toUpperCase() };
    const placed = await service.http.post('/api/orders').set(asCaller(ADMIN, 'admin')).send(body);
    expect(placed.status).toBe(201);
    const { order_id } = placed.body as { order_id: string };
    const read = await service.http.get(`/api/orders/${order_id}`).set(asCaller(EXAMPLE.customer));
    expect([read.status, read.body]).toMatchObject([200, { customer_id: EXAMPLE.customer }]);
    expect(service.publishedEvents('order.created')).toMatchObject([
      { data: { order: { customer_id: EXAMPLE.customer } } },
    ]);
    expect(service.sidecar.calls.find(({ target }) => target === 'users')?.path).toBe(
      `/api/users/${EXAMPLE.customer}`,
    );
  });
});
