import { v7 as uuid } from 'uuid';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../services/history/app.ts';
import { orderEventType, type Order } from '../../services/orders/contract.ts';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import { createLogger } from '../../services/shared/telemetry/logger.ts';
import { DEDUPLICATION_WINDOW_MS } from '../../services/shared/dapr/sidecar.ts';
import { buildEvent } from '../support/events.ts';
import { APP_API_TOKEN } from '../support/fake-sidecar.ts';
import { buildOrder as buildAnOrder } from '../support/orders.ts';
import {
  asCaller,
  createHttpClient,
  createSidecarClient,
  slugOf,
  startService,
  type ServiceUnderTest,
} from '../support/service-under-test.ts';

const ADA = uuid();
const BOB = uuid();
const admin = asCaller(uuid(), 'admin');
const now = () => new Date('2026-01-01T00:00:00Z');

let service: ServiceUnderTest;
beforeEach(async () => void (service = await startService((deps) => createApp({ ...deps, now }))));
afterEach(() => service.stop());

const buildOrder = (more: Partial<Order> = {}) => buildAnOrder({ customer_id: ADA, ...more });

const deliver = (order: Order, type = 'order.created') => service.deliver(type, { order });
const get = (path: string, caller: Record<string, string>) => service.http.get(path).set(caller);

async function list(
  query: string,
  caller = asCaller(ADA),
): Promise<{ items: Order[]; next_cursor: string | null }> {
  const response = await get(`/api/orders${query}`, caller);
  expect(response.status).toBe(200);
  return response.body as { items: Order[]; next_cursor: string | null };
}

const idsOf = ({ items }: { items: Order[] }) => items.map(({ order_id }) => order_id);

/** Creates orders, one after the other. */
async function stored(
  count: number,
  more: (position: number) => Partial<Order> = () => ({}),
): Promise<Order[]> {
  const orders = Array.from({ length: count }, (_, position) => buildOrder(more(position)));
  for (const order of orders) expect(await deliver(order)).toBe('SUCCESS');
  return orders;
}

describe('order events', () => {
  it.each(orderEventType.options)('When %s comes, then the order has that state', async (type) => {
    const order = buildOrder({ version: 4, status: 'SHIPPED', tracking_number: 'T1' });
    expect(await deliver(order, type)).toBe('SUCCESS');
    expect((await list('')).items).toEqual([order]);
  });

  it('When an event comes twice, then it is listed and counted once', async () => {
    const order = buildOrder();
    await deliver(order);
    expect(await deliver(order)).toBe('SUCCESS');
    expect((await list('')).items).toEqual([order]);
    expect((await get(`/api/customers/${ADA}/totals`, asCaller(ADA))).body).toMatchObject({ orders: 1 });
  });

  it('When an older version comes late, then the newer one stays', async () => {
    const paid = buildOrder({ version: 3, status: 'PAID' });
    await deliver(paid, 'order.paid');
    expect(await deliver({ ...paid, version: 1, status: 'PENDING' })).toBe('SUCCESS');
    expect((await list('')).items).toEqual([paid]);
  });

  it('When all events of many orders come at once, then each order is listed once, in its last state', async () => {
    const orders = Array.from({ length: 30 }, (_, n) => buildOrder({ customer_id: n % 2 ? ADA : BOB }));
    const versions = orders.flatMap((order) =>
      [3, 1, 2].map((version): Order => ({ ...order, version, status: version === 3 ? 'PAID' : 'PENDING' })),
    );
    const answers = await Promise.all(versions.map((order) => deliver(order)));
    expect(new Set(answers)).toEqual(new Set(['SUCCESS']));
    const all = await list('?limit=100', admin);
    expect(idsOf(all).toSorted()).toEqual(orders.map(({ order_id }) => order_id).toSorted());
    expect(new Set(all.items.map(({ status }) => status))).toEqual(new Set(['PAID']));
    expect((await get(`/api/customers/${BOB}/totals`, admin)).body).toEqual({
      customer_id: BOB,
      orders: 15,
      by_status: { PAID: 15 },
      spent: { EUR: 18_000 },
    });
  });

  it('When another replica writes at the same time, then nothing is lost', async () => {
    const sidecar = createSidecarClient(service.sidecar.port);
    const log = createLogger('test', 'silent');
    const replica = createHttpClient(
      createApp({ log, sidecar, appApiToken: APP_API_TOKEN, metrics: createMetrics(), now }),
    );
    const orders = Array.from({ length: 20 }, () => buildOrder());
    const answers = await Promise.all(
      orders.map(async (order, position) =>
        position % 2
          ? deliver(order)
          : (
              (await replica.post('/events/order.created').send(buildEvent('order.created', { order })))
                .body as { status: string }
            ).status,
      ),
    );
    await sidecar.close();
    expect(new Set(answers)).toEqual(new Set(['SUCCESS']));
    expect(idsOf(await list('?limit=100')).toSorted()).toEqual(
      orders.map(({ order_id }) => order_id).toSorted(),
    );
    expect((await get(`/api/customers/${ADA}/totals`, asCaller(ADA))).body).toMatchObject({ orders: 20 });
  });

  it('When the state store fails, then the event is redelivered and processed', async () => {
    const order = buildOrder();
    service.sidecar.fail('state');
    expect(await deliver(order)).toBe('RETRY');
    expect(await deliver(order)).toBe('SUCCESS');
    expect((await list('')).items).toEqual([order]);
  });

  it.each([
    ['has no order', {}],
    ['has an order without a version', { order: { ...buildOrder(), version: undefined } }],
    ['has a version that is no number', { order: { ...buildOrder(), version: 'one' } }],
  ])('When an event %s, then it is dropped and nothing is saved', async (_, data) => {
    expect(await service.deliver('order.created', data)).toBe('DROP');
    expect(service.sidecar.documents.size).toBe(0);
  });

  it('When an event has unknown fields, then they are neither saved nor logged', async () => {
    const data = { order: buildOrder(), payment: { method: 'card', card_token: 'tok_4711' } };
    expect(await service.deliver('payment.requested', data)).toBe('SUCCESS');
    expect(JSON.stringify([...service.sidecar.documents])).not.toContain('tok_4711');
    expect(JSON.stringify(service.logs)).not.toContain('tok_4711');
  });

  it('When an event is processed, then the log has the order id', async () => {
    const order = buildOrder();
    await deliver(order);
    expect(service.logs.at(-1)).toMatchObject({ path: '/events/order.created', order_id: order.order_id });
  });
});

describe('GET /api/orders', () => {
  it('When a customer lists orders, then the list has only their own, newest first', async () => {
    const orders = await stored(4, (n) => ({ customer_id: n === 1 ? BOB : ADA }));
    const own = orders.filter(({ customer_id }) => customer_id === ADA);
    expect(idsOf(await list(''))).toEqual(own.map(({ order_id }) => order_id).toReversed());
  });

  it('When a customer asks for another customer, then the list is empty', async () => {
    await stored(1, () => ({ customer_id: BOB }));
    expect(await list(`?customer_id=${BOB}`)).toEqual({ items: [], next_cursor: null });
  });

  it('When an administrator lists orders, then the list has those of all customers', async () => {
    const orders = await stored(2, (n) => ({ customer_id: n ? ADA : BOB }));
    expect(idsOf(await list('', admin))).toEqual(orders.map(({ order_id }) => order_id).toReversed());
  });

  it('When an administrator asks for a customer, then the list has only their orders', async () => {
    const [order] = await stored(2, (n) => ({ customer_id: n ? ADA : BOB }));
    expect(idsOf(await list(`?customer_id=${BOB}`, admin))).toEqual([order!.order_id]);
  });

  it('When the client follows the pages, then each order occurs once, in order', async () => {
    const orders = await stored(7);
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page = await list(`?limit=3${cursor && `&cursor=${cursor}`}`);
      seen.push(...idsOf(page));
      cursor = page.next_cursor;
    }
    expect(seen).toEqual(orders.map(({ order_id }) => order_id).toReversed());
  });

  it('When there is a next page, then the Link header leads to it with the same filters', async () => {
    const [first] = await stored(2, () => ({ status: 'PAID' }));
    const response = await get('/api/orders?limit=1&status=PAID', asCaller(ADA));
    const [, address = ''] = /^<(.*)>; rel="next"$/.exec(response.headers['link'] ?? '') ?? [];
    expect(address).toContain('status=PAID');
    expect(idsOf((await get(address, asCaller(ADA))).body as { items: Order[] })).toEqual([first!.order_id]);
  });

  it('When there is no next page, then there is no Link header', async () => {
    await stored(1);
    expect((await get('/api/orders', asCaller(ADA))).headers).not.toHaveProperty('link');
  });

  it('When a status is given, then the pages have all orders of that status and no others', async () => {
    const orders = await stored(9, (n) => ({ status: n % 3 === 0 ? 'PAID' : 'PENDING' }));
    const first = await list('?status=PAID&limit=2');
    const second = await list(`?status=PAID&limit=2&cursor=${first.next_cursor}`);
    const paid = orders.filter(({ status }) => status === 'PAID').map(({ order_id }) => order_id);
    expect([idsOf(first), idsOf(second)]).toEqual([[paid[2], paid[1]], [paid[0]]]);
  });

  it('When a status is rare, then one request reads at most a thousand orders', async () => {
    const [oldest] = await stored(1, () => ({ status: 'CANCELLED' }));
    await Promise.all(Array.from({ length: 1_010 }, () => deliver(buildOrder())));
    const first = await list('?status=CANCELLED');
    expect(first.items).toEqual([]);
    const second = await list(`?status=CANCELLED&cursor=${first.next_cursor}`);
    expect(second).toEqual({ items: [oldest], next_cursor: null });
  });

  it.each([
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=many', 'limit'],
    ['status=LOST', 'status'],
    ['status=PAID&status=PENDING', 'status'],
    ['customer_id=me', 'customer_id'],
    ['cursor=nonsense', 'cursor'],
  ])('When the query is %s, then the 400 names the parameter', async (query, field) => {
    const response = await get(`/api/orders?${query}`, asCaller(ADA));
    expect(response.status).toBe(400);
    expect(response.body).toMatchObject({ errors: [{ field }] });
  });

  it('When there is no caller, then 401', async () => {
    expect((await get('/api/orders', {})).status).toBe(401);
  });
});

describe('GET /api/customers/:customer_id/totals', () => {
  it('When orders change, then the totals follow', async () => {
    const [order] = await stored(2);
    await deliver({ ...order!, version: 3, status: 'PAID' }, 'order.paid');
    expect((await get(`/api/customers/${ADA}/totals`, asCaller(ADA))).body).toEqual({
      customer_id: ADA,
      orders: 2,
      by_status: { PENDING: 1, PAID: 1 },
      spent: { EUR: 1200 },
    });
  });

  it('When there are no orders, then all totals are zero', async () => {
    const response = await get(`/api/customers/${ADA}/totals`, asCaller(ADA));
    expect(response.body).toEqual({ customer_id: ADA, orders: 0, by_status: {}, spent: {} });
  });

  it('When a delivered order was refunded, then the refunded money is not counted', async () => {
    const order = buildOrder({ status: 'DELIVERED', version: 5 });
    const spent = async () =>
      ((await get(`/api/customers/${ADA}/totals`, asCaller(ADA))).body as { spent: object }).spent;
    await deliver(order, 'order.delivered');
    expect(await spent()).toEqual({ EUR: 1200 });
    for (const refunded of [500, 500, 1200]) {
      await deliver({ ...order, version: 6 + Number(refunded === 1200), refunded }, 'order.refunded');
      expect(await spent()).toEqual(refunded === 1200 ? {} : { EUR: 700 });
    }
    const { body } = await get('/api/orders', asCaller(ADA));
    expect((body as { items: Order[] }).items).toMatchObject([{ status: 'DELIVERED', refunded: 1200 }]);
  });

  it.each([
    ['another’s', BOB],
    ['no id', 'me'],
  ])('When a customer asks for %s, then 404', async (_, id) => {
    expect((await get(`/api/customers/${id}/totals`, asCaller(ADA))).status).toBe(404);
  });
});

const EVENT = {
  specversion: '1.0',
  id: 'order-1:2',
  source: 'orders',
  type: 'payment.requested',
  subject: 'order-1',
  time: '2026-01-01T00:00:00Z',
  data: { payment: { method: 'card', card_token: 'tok_4711' } },
};

/** Delivers a message like the sidecar of a raw subscription. */
async function storeDeadLetter(message: string | Buffer): Promise<string> {
  const data_base64 = Buffer.from(message).toString('base64');
  const response = await service.http
    .post('/events/dead-letters')
    .set('content-type', 'application/cloudevents+json')
    .send(JSON.stringify({ specversion: '1.0', type: 'com.dapr.event.sent', source: 'Dapr', data_base64 }));
  return (response.body as { status: string }).status;
}
const storeEvent = (more: object = {}) => storeDeadLetter(JSON.stringify({ ...EVENT, ...more }));

interface Letter {
  dead_letter_id: string;
  type: string;
  event: unknown;
  redriven: number;
}
async function letters(): Promise<Letter[]> {
  const response = await get('/api/admin/dead-letters', admin);
  expect(response.status).toBe(200);
  return (response.body as { items: Letter[] }).items;
}

describe('dead letters', () => {
  it('When an event becomes a dead letter, then it is listed without its secrets', async () => {
    expect(await storeEvent()).toBe('SUCCESS');
    expect(await letters()).toEqual([
      {
        dead_letter_id: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
        type: 'payment.requested',
        event_id: 'order-1:2',
        received_at: '2026-01-01T00:00:00.000Z',
        redriven: 0,
        event: { ...EVENT, data: { payment: { method: 'card', card_token: '[redacted]' } } },
      },
    ]);
  });

  it('When the same one is redelivered, or comes several times at once, then it is listed once', async () => {
    await storeEvent();
    expect(await Promise.all([storeEvent(), storeEvent({ traceparent: 'other' })])).toEqual([
      'SUCCESS',
      'SUCCESS',
    ]);
    expect(await letters()).toHaveLength(1);
  });

  it('When many come at once, then all are listed', async () => {
    await Promise.all(Array.from({ length: 15 }, (_, n) => storeEvent({ id: `e${n}` })));
    expect(await letters()).toHaveLength(15);
  });

  it.each([
    ['text', 'hello', 'hello'],
    ['JSON that is no object', '17', 17],
    ['JSON null', 'null', null],
    ['malformed JSON', '{"a":', '{"a":'],
    ['nothing', '', ''],
    ['bytes', Buffer.from([0xff, 0x00]), '\ufffd\u0000'],
    [
      'JSON nested too deep',
      '['.repeat(50_000) + ']'.repeat(50_000),
      '['.repeat(50_000) + ']'.repeat(50_000),
    ],
  ])('When it is %s, then it is kept unchanged', async (_, body, event) => {
    expect(await storeDeadLetter(body)).toBe('SUCCESS');
    const [letter] = await letters();
    expect(letter).toMatchObject({ type: 'unknown', event });
  });

  it('When it is longer than any event of this system, then its start is kept', async () => {
    expect(await storeDeadLetter('x'.repeat(4_000_000))).toBe('SUCCESS');
    expect((await letters())[0]?.event).toBe('x'.repeat(102_400));
  });

  it('When the state store fails, then it is redelivered', async () => {
    service.sidecar.fail('state');
    expect(await storeEvent()).toBe('RETRY');
    expect(await storeEvent()).toBe('SUCCESS');
    expect(await letters()).toHaveLength(1);
  });

  it('When one is new, then it is logged without its content and counted', async () => {
    await storeEvent();
    await storeEvent();
    const logged = service.logs.filter(({ msg }) => msg === 'dead letter stored');
    expect(logged).toMatchObject([{ level: 'warn', type: 'payment.requested', event_id: 'order-1:2' }]);
    expect(JSON.stringify(service.logs)).not.toContain('tok_4711');
    expect((await service.http.get('/metrics')).text).toContain(
      'dead_letters_total{type="payment.requested"} 1',
    );
  });

  it('When one is read, then its secrets are hidden', async () => {
    await storeEvent();
    const [letter] = await letters();
    const response = await get(`/api/admin/dead-letters/${letter!.dead_letter_id}`, admin);
    expect([response.status, response.body]).toEqual([200, letter]);
  });

  it('When the client follows the pages, then the newest comes first', async () => {
    for (const id of ['a', 'b', 'c']) await storeEvent({ id });
    const first = (await get('/api/admin/dead-letters?limit=2', admin)).body as { next_cursor: string };
    const second = await get(`/api/admin/dead-letters?limit=2&cursor=${first.next_cursor}`, admin);
    expect(first).toMatchObject({ items: [{ event_id: 'c' }, { event_id: 'b' }] });
    expect(second.body).toMatchObject({ items: [{ event_id: 'a' }], next_cursor: null });
  });

  it.each([['f'.repeat(32)], ['nonsense'], ['..%2Forder']])('When there is no %s, then 404', async (id) => {
    const shown = await get(`/api/admin/dead-letters/${id}`, admin);
    const redriven = await service.http.post(`/api/admin/dead-letters/${id}/redrive`).set(admin);
    expect([shown.status, redriven.status]).toEqual([404, 404]);
  });

  it('When they are listed and one is read, then audit lines have the caller', async () => {
    await storeEvent();
    const [letter] = await letters();
    const { dead_letter_id } = letter!;
    await get(`/api/admin/dead-letters/${dead_letter_id}`, admin);
    await get(`/api/admin/dead-letters/${'f'.repeat(32)}`, admin);
    const caller_id = admin['x-caller-id'];
    expect(service.logs.filter((line) => line['audit'])).toMatchObject([
      { audit: 'list-dead-letters', caller_id },
      { audit: 'read-dead-letter', caller_id, dead_letter_id },
    ]);
    expect(JSON.stringify(service.logs)).not.toContain('tok_4711');
  });

  it('When a customer asks, then 403', async () => {
    await storeEvent();
    const [letter] = await letters();
    const path = `/api/admin/dead-letters/${letter!.dead_letter_id}`;
    const answers = await Promise.all([
      get('/api/admin/dead-letters', asCaller(ADA)),
      get(path, asCaller(ADA)),
      service.http.post(`${path}/redrive`).set(asCaller(ADA)),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403]);
    expect(service.sidecar.published).toEqual([]);
  });
});

async function redrive(headers: Record<string, string> = {}) {
  const [letter] = await letters();
  return service.http
    .post(`/api/admin/dead-letters/${letter!.dead_letter_id}/redrive`)
    .set({ ...admin, ...headers });
}

describe('POST /api/admin/dead-letters/:id/redrive', () => {
  it('When it is redriven, then the event is published unchanged, including secrets', async () => {
    await storeEvent();
    expect((await redrive()).status).toBe(202);
    expect(service.sidecar.published).toEqual([EVENT]);
  });

  it('When it is redriven twice, then both are counted', async () => {
    await storeEvent();
    await redrive();
    const response = await redrive();
    expect(response.body).toMatchObject({ redriven: 2 });
    expect(JSON.stringify(response.body)).not.toContain('tok_4711');
    expect(await letters()).toMatchObject([{ redriven: 2 }]);
  });

  it('When it is redriven twice within five seconds, then two messages are sent', async () => {
    await service.stop();
    service = await startService((deps) => createApp({ ...deps, now }), {
      deduplicationWindowMs: DEDUPLICATION_WINDOW_MS,
    });
    await storeEvent();
    expect((await redrive()).body).toMatchObject({ redriven: 1 });
    expect((await redrive()).body).toMatchObject({ redriven: 2 });
    expect(service.sidecar.published).toEqual([EVENT, EVENT]);
  });

  it('When it is redriven twice with the same key, then it is sent once', async () => {
    await storeEvent();
    const key = { 'idempotency-key': 'redrive-1' };
    const [first, second] = [await redrive(key), await redrive(key)];
    expect([second.status, second.body]).toEqual([202, first.body]);
    expect(second.headers['idempotent-replayed']).toBe('true');
    expect(service.sidecar.published).toEqual([EVENT]);
    expect(await letters()).toMatchObject([{ redriven: 1 }]);
    expect(
      JSON.stringify([...service.sidecar.documents].filter(([name]) => name.startsWith('idem'))),
    ).not.toContain('tok_4711');
  });

  it('When it is redriven and fails again, then it is still the same dead letter', async () => {
    await storeEvent();
    await redrive();
    await storeEvent({ topic: 'payment.requested', traceparent: 'another' });
    expect(await letters()).toMatchObject([{ redriven: 1 }]);
  });

  it('When it is redriven, then an audit line has the caller', async () => {
    await storeEvent();
    await redrive();
    expect(service.logs.filter((line) => line['audit'] === 'redrive')).toMatchObject([
      { caller_id: admin['x-caller-id'], event_id: 'order-1:2', type: 'payment.requested' },
    ]);
  });

  it('When the broker is unavailable, then 503 and it is not counted', async () => {
    await storeEvent();
    service.sidecar.fail('publish');
    const response = await redrive();
    expect([response.status, slugOf(response)]).toEqual([503, 'unavailable']);
    expect(await letters()).toMatchObject([{ redriven: 0 }]);
  });

  it.each([
    ['is of an unknown type', JSON.stringify({ ...EVENT, type: 'order.eaten' })],
    ['is no CloudEvent', '{"type":"order.paid"}'],
    ['is text', 'hello'],
  ])('When it %s, then 409 and nothing is published', async (_, body) => {
    await storeDeadLetter(body);
    const response = await redrive();
    expect([response.status, slugOf(response)]).toEqual([409, 'not-redrivable']);
    expect(service.sidecar.published).toEqual([]);
  });
});
