import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../services/orders/app.ts';
import { ERASED_REASON, orderChangesSchema } from '../../services/orders/contract.ts';
import { EMPTY_BODY } from '../support/fake-sidecar.ts';
import { asCaller, slugOf, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const CUSTOMER = randomUUID();
const PRODUCTS = [
  product('mug-blue', 1250),
  product('tea-green', 499),
  { ...product('map-us', 900), currency: 'USD' },
];

function product(product_id: string, unit_price: number) {
  return { product_id, name: product_id, unit_price, currency: 'EUR', on_hand: 9, reserved: 0, available: 9 };
}

const cart = (more: object = {}) => ({
  items: [{ product_id: 'mug-blue', quantity: 2 }],
  payment: { method: 'card', card_token: 'tok_visa' },
  ...more,
});

let clock: Date;
let monotonicMs: number;
let service: ServiceUnderTest;

beforeEach(async () => {
  clock = new Date('2026-01-01T00:00:00.000Z');
  monotonicMs = 0;
  service = await startService((deps) =>
    createApp({
      ...deps,
      watchdogIntervalMs: 1_000,
      paymentDeadlineMs: 60_000,
      now: () => clock,
      clock: () => monotonicMs,
    }),
  );
  service.sidecar.answer('inventory', ({ path }) => {
    const ids = new URL(path, 'http://x').searchParams.get('ids')?.split(',') ?? [];
    return { status: 200, body: { items: PRODUCTS.filter((one) => ids.includes(one.product_id)) } };
  });
});
afterEach(() => service.stop());

const post = (body: object, headers: Record<string, string> = {}) =>
  service.http.post('/api/orders').set(asCaller(CUSTOMER)).set(headers).send(body);

async function placed(body: object = cart()): Promise<string> {
  const response = await post(body);
  expect(response.status).toBe(201);
  return (response.body as { order_id: string }).order_id;
}

async function statusOf(orderId: string): Promise<string> {
  const response = await service.http.get(`/api/orders/${orderId}`).set(asCaller(CUSTOMER));
  return (response.body as { status: string }).status;
}

async function paidOrder(): Promise<string> {
  const orderId = await placed();
  await service.deliver('inventory.reserved', { order_id: orderId });
  await service.deliver('payment.processed', { order_id: orderId, payment_id: randomUUID() });
  return orderId;
}

const cardOf = (orderId: string, caller = 'payments') =>
  service.http.get(`/orders/${orderId}/payment-method`).set('dapr-caller-app-id', caller);

/** Sets only the wall clock. */
const setClock = (byMs: number) => void (clock = new Date(clock.getTime() + byMs));

/** Lets time pass, and the watchdog check the orders that are due. */
async function sweepAfter(ms: number): Promise<void> {
  setClock(ms);
  monotonicMs += ms;
  expect(await service.sweep()).toBe(200);
}

describe('the card of an order', () => {
  const SECRET = 'tok_4711';
  const withCard = () => placed(cart({ payment: { method: 'card', card_token: SECRET } }));
  const stored = () => JSON.stringify([...service.sidecar.documents]);
  const reserve = (order_id: string) => service.deliver('inventory.reserved', { order_id });

  it('When payment is due, then payments gets the card and no event has it', async () => {
    const orderId = await withCard();
    await reserve(orderId);
    const response = await cardOf(orderId);
    expect([response.status, response.body]).toEqual([200, { method: 'card', card_token: SECRET }]);
    expect(JSON.stringify([service.sidecar.published, service.logs])).not.toContain(SECRET);
  });

  it('When payments has read the card, then its decision is applied without a read', async () => {
    const order_id = await withCard();
    await reserve(order_id);
    await cardOf(order_id);
    const calls: string[] = [];
    service.sidecar.onStateCall(({ op }) => void calls.push(op));
    await service.deliver('payment.processed', { order_id, payment_id: randomUUID() });
    expect(calls).toEqual(['write']);
    expect(await statusOf(order_id)).toBe('PAID');
  });

  it.each(['history', 'gateway', 'payments, history', ''])('When "%s" calls, then 403', async (caller) => {
    const response = await cardOf(await withCard(), caller);
    expect([response.status, slugOf(response)]).toEqual([403, 'forbidden']);
    expect(JSON.stringify(response.body)).not.toContain(SECRET);
  });

  it.each([[randomUUID()], ['nonsense']])('When there is no order %s, then 404', async (orderId) => {
    expect((await cardOf(orderId)).status).toBe(404);
  });

  it.each<[string, (order_id: string) => Promise<unknown>]>([
    ['PAID', (order_id) => service.deliver('payment.processed', { order_id, payment_id: randomUUID() })],
    ['PAYMENT_FAILED', (order_id) => service.deliver('payment.failed', { order_id, reason: 'declined' })],
    ['REJECTED', (order_id) => service.deliver('inventory.rejected', { order_id, reason: 'sold out' })],
    ['CANCELLED', (order_id) => service.http.post(`/api/orders/${order_id}/cancel`).set(asCaller(CUSTOMER))],
    [
      'EXPIRED',
      async (order_id) => {
        void order_id;
        await sweepAfter(0);
        await sweepAfter(60_000);
      },
    ],
  ])('When the order becomes %s, then the same write erases the card', async (status, end) => {
    const orderId = await withCard();
    if (status !== 'REJECTED') await reserve(orderId);
    const cardAndStatusAtWrite: [boolean, boolean][] = [];
    service.sidecar.onStateCall(() => {
      cardAndStatusAtWrite.push([
        stored().includes(status === 'PAID' ? 'order.paid' : 'reason'),
        stored().includes(SECRET),
      ]);
    });
    await end(orderId);
    expect(await statusOf(orderId)).toBe(status);
    expect(stored()).not.toContain(SECRET);
    // No document has both the card and a final status.
    expect(cardAndStatusAtWrite).not.toContainEqual([true, true]);
    const response = await cardOf(orderId);
    expect([response.status, slugOf(response)]).toEqual([410, 'card-erased']);
  });

  it.each([
    ['4111111111111111'],
    ['4111-1111-1111-1111'],
    ['4111_1111_1111_1111'],
    ['4111 1111 1111 1111'],
    ['-4111-1111-1111-1111_'],
    ['123456789012'],
    ['1234567890123456789'],
  ])('When %s is given as a token, then it is rejected and not in the response', async (card_token) => {
    for (const body of [
      cart({ payment: { method: 'card', card_token } }),
      { product_id: 'mug-blue', quantity: 1, payment: { method: 'card', card_token } },
    ]) {
      const response = await post(body);
      expect(response.status).toBe(422);
      expect(response.body).toMatchObject({
        errors: [{ field: 'payment.card_token', message: 'must be a card token, not a card number' }],
      });
      expect(JSON.stringify([response.body, service.logs, stored()])).not.toContain(card_token);
    }
  });

  it.each([['tok_4111111111111111'], ['12345678901'], ['12345678901234567890'], ['4111a1111b1111c1111']])(
    'When %s is given as a token, then it is accepted',
    async (card_token) => {
      expect((await post(cart({ payment: { method: 'card', card_token } }))).status).toBe(201);
    },
  );
});

describe('POST /api/orders', () => {
  it('When several lines are ordered, then the order is accepted with the prices of the shop', async () => {
    const response = await post(cart());
    expect(response.status).toBe(201);
    expect(response.body).toMatchObject({ status: 'PENDING', total: 2500, currency: 'EUR' });
    expect(response.headers['location']).toBe(
      `/api/orders/${(response.body as { order_id: string }).order_id}`,
    );
  });

  it('When one line is ordered, then the default card is used', async () => {
    const orderId = await placed({ product_id: 'tea-green', quantity: 3, amount: 1497 });
    await service.deliver('inventory.reserved', { order_id: orderId });
    expect((await cardOf(orderId)).body).toEqual({ method: 'card', card_token: 'tok_visa' });
  });

  it('When an order is accepted, then the same transaction puts it on the work list, and order.created is published', async () => {
    const writes: string[][] = [];
    service.sidecar.onStateCall(({ op, keys }) => void (op === 'write' && writes.push(keys)));
    const orderId = await placed();
    expect(writes).toEqual([[`order:${orderId}`, expect.stringMatching(/^worklist:\d+$/)]]);
    expect(service.workList()).toEqual([orderId]);
    expect(service.publishedEvents('order.created')).toMatchObject([
      { id: `${orderId}:1`, data: { order: { order_id: orderId, status: 'PENDING', version: 1 } } },
    ]);
  });

  it('When two lines name a product, then they become one line', async () => {
    const line = { product_id: 'mug-blue', quantity: 2 };
    const orderId = await placed(cart({ items: [line, line] }));
    const { body } = await service.http.get(`/api/orders/${orderId}`).set(asCaller(CUSTOMER));
    expect(body).toMatchObject({ items: [{ product_id: 'mug-blue', quantity: 4 }], total: 5000 });
  });

  it('When the broker is unavailable, then the order is still accepted', async () => {
    service.sidecar.fail('publish');
    expect((await post(cart())).status).toBe(201);
  });

  it('When the scheduler is unavailable, then an order is accepted and ends, because no request calls it', async () => {
    service.sidecar.fail('schedule', 1_000);
    const orderId = await paidOrder();
    await service.deliver('shipment.dispatched', { order_id: orderId, tracking_number: 'SC1' });
    await service.deliver('shipment.delivered', { order_id: orderId, tracking_number: 'SC1' });
    expect(await statusOf(orderId)).toBe('DELIVERED');
  });

  it('When 32,000 orders are watched, then a new one is shed with Retry-After and nothing is saved', async () => {
    const entries = Object.fromEntries(
      Array.from({ length: 2_000 }, () => [randomUUID(), { added: 0, due_ms: 0 }]),
    );
    for (let shard = 0; shard < 16; shard++)
      service.sidecar.documents.set(`worklist:${shard}`, { value: entries, etag: `full-${shard}` });
    const response = await post(cart());
    expect([response.status, response.headers['retry-after']]).toEqual([503, '1']);
    expect([...service.sidecar.documents.keys()].filter((key) => key.startsWith('order:'))).toEqual([]);
  });

  it('When the response about prices is empty, then 503 and nothing is saved', async () => {
    service.sidecar.answer('inventory', () => ({ status: 200, body: EMPTY_BODY }));
    expect((await post(cart())).status).toBe(503);
    expect(service.sidecar.documents.size).toBe(0);
  });

  it('When inventory is unavailable, then the order is rejected', async () => {
    service.sidecar.fail('invoke');
    const response = await post(cart());
    expect(response.status).toBe(503);
    expect(response.headers['retry-after']).toBe('1');
  });

  const one = (quantity: unknown) => cart({ items: [{ product_id: 'mug-blue', quantity }] });
  it.each([
    ['quantity 0', one(0), 422, 'items.0.quantity'],
    ['a negative quantity', one(-1), 422, 'items.0.quantity'],
    ['a fractional quantity', one(1.5), 422, 'items.0.quantity'],
    ['a huge quantity', one(1e12), 422, 'items.0.quantity'],
    ['a quantity in words', one('2'), 422, 'items.0.quantity'],
    ['no items', cart({ items: [] }), 422, 'items'],
    ['an unknown product', cart({ items: [{ product_id: 'nope', quantity: 1 }] }), 422, 'items.0.product_id'],
    ['an unknown product in the short form', { product_id: 'nope', quantity: 1 }, 422, 'product_id'],
    ['an evil product id', cart({ items: [{ product_id: 'a||b', quantity: 1 }] }), 422, 'items.0.product_id'],
    ['no payment', { items: [{ product_id: 'mug-blue', quantity: 1 }] }, 422, 'payment'],
    ['an unknown field', cart({ discount: 5 }), 422, 'discount'],
    ['a currency that is none', cart({ currency: 'euro' }), 422, 'currency'],
    ['nothing', {}, 422, 'product_id'],
    ['a list', [], 422, ''],
    [
      'another unit price',
      cart({ items: [{ product_id: 'mug-blue', quantity: 1, unit_price: 1 }] }),
      409,
      'items.0.unit_price',
    ],
    ['another amount', { product_id: 'mug-blue', quantity: 1, amount: 1 }, 409, 'amount'],
    ['another currency', cart({ currency: 'USD' }), 409, 'currency'],
  ])(
    'When %s is ordered, then the response names it and nothing changes',
    async (_what, body, status, field) => {
      const response = await post(body);
      expect(response.status).toBe(status);
      expect(response.headers['content-type']).toContain('application/problem+json');
      expect((response.body as { errors: { field: string }[] }).errors.map((error) => error.field)).toContain(
        field,
      );
      expect(service.sidecar.documents.size + service.sidecar.published.length).toBe(0);
    },
  );

  it('When products have different currencies, then the order is rejected', async () => {
    const items = ['mug-blue', 'map-us'].map((product_id) => ({ product_id, quantity: 1 }));
    expect((await post(cart({ items }))).status).toBe(422);
  });

  it.each([
    ['malformed JSON', '{"items":', 'application/json', 400],
    ['another content type', 'items=1', 'application/x-www-form-urlencoded', 415],
    ['a body over 100 KB', JSON.stringify({ filler: 'x'.repeat(110_000) }), 'application/json', 413],
  ])('When the body has %s, then it is rejected', async (_what, body, type, status) => {
    const response = await service.http
      .post('/api/orders')
      .set(asCaller(CUSTOMER))
      .set('content-type', type)
      .send(body);
    expect(response.status).toBe(status);
    expect(response.body).toMatchObject({ status, request_id: response.headers['x-request-id'] });
  });

  it.each<[what: string, headers: Record<string, string>]>([
    ['of no length', { 'content-length': '0' }],
    ['in no chunks', { 'transfer-encoding': 'chunked' }],
  ])('When a body %s comes with another content type, then it counts as missing', async (_what, headers) => {
    const { body } = await post(cart());
    const cancelled = await service.http
      .post(`/api/orders/${(body as { order_id: string }).order_id}/cancel`)
      .set({ ...asCaller(CUSTOMER), ...headers, 'content-type': 'application/x-www-form-urlencoded' });
    expect(cancelled.status).toBe(200);
  });

  it('When there is no caller, then the order is rejected', async () => {
    expect((await service.http.post('/api/orders').send(cart())).status).toBe(401);
  });

  describe('for another customer', () => {
    const customer_id = randomUUID();
    const body = cart({ customer_id });
    const postAsAdmin = () =>
      service.http.post('/api/orders').set(asCaller(randomUUID(), 'admin')).send(body);

    it('When the caller is a customer, then the order is rejected', async () => {
      expect((await post(body)).status).toBe(403);
    });

    it('When the caller is an administrator, then the order belongs to that customer', async () => {
      service.sidecar.answer('users', () => ({ status: 200 }));
      expect((await postAsAdmin()).status).toBe(201);
      expect(service.publishedEvents('order.created')[0]?.data).toMatchObject({
        order: { customer_id },
      });
    });

    it('When there is no such customer, then the response names the field', async () => {
      service.sidecar.answer('users', () => ({ status: 404 }));
      const response = await postAsAdmin();
      expect([response.status, response.body]).toMatchObject([422, { errors: [{ field: 'customer_id' }] }]);
    });

    it('When users is unavailable, then the response is 503', async () => {
      expect((await postAsAdmin()).status).toBe(503);
    });
  });

  it('When a line is logged, then it has no card token', async () => {
    await paidOrder();
    expect(JSON.stringify(service.logs)).not.toContain('tok_visa');
  });
});

describe('the same Idempotency-Key', () => {
  const key = { 'idempotency-key': 'key-1' };

  it('When the request is repeated, then there is one response and one order', async () => {
    const [first, second] = [await post(cart(), key), await post(cart(), key)];
    expect(second.status).toBe(201);
    expect(second.body).toEqual(first.body);
    expect([first, second].map(({ headers }) => headers['idempotent-replayed'])).toEqual([undefined, 'true']);
    expect(service.publishedEvents('order.created')).toHaveLength(1);
    // The order itself stores the response.
    const others = (name: string) => !/^(order|worklist):/.test(name);
    expect([...service.sidecar.documents.keys()].filter(others)).toEqual([]);
  });

  it('When it is repeated at the same time, then there is one order, and the second request may retry', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => post(cart(), key)));
    const accepted = answers.filter(({ status }) => status === 201);
    expect(new Set(accepted.map((answer) => (answer.body as { order_id: string }).order_id)).size).toBe(1);
    const early = answers.filter(({ status }) => status !== 201);
    expect(new Set(early.map(({ status, headers }) => [status, headers['retry-after']].join()))).toEqual(
      new Set(early.length > 0 ? ['409,1'] : []),
    );
    expect(service.publishedEvents('order.created')).toHaveLength(1);
  });

  it('When another request has the key, then it is rejected', async () => {
    await post(cart(), key);
    expect((await post({ product_id: 'tea-green', quantity: 1 }, key)).status).toBe(422);
  });

  it('When another customer uses the key, then they get their own order', async () => {
    const mine = await post(cart(), key);
    const theirs = await service.http.post('/api/orders').set(asCaller(randomUUID())).set(key).send(cart());
    expect(theirs.status).toBe(201);
    expect((theirs.body as { order_id: string }).order_id).not.toBe(
      (mine.body as { order_id: string }).order_id,
    );
  });

  it('When the key is malformed, then it is rejected', async () => {
    expect((await post(cart(), { 'idempotency-key': 'x'.repeat(256) })).status).toBe(400);
  });
});

describe('reading an order', () => {
  it('When another customer reads it, then 404', async () => {
    const orderId = await placed();
    for (const path of ['', '/events'])
      expect(
        (await service.http.get(`/api/orders/${orderId}${path}`).set(asCaller(randomUUID()))).status,
      ).toBe(404);
  });

  it.each(['nope', randomUUID(), 'a%7C%7Cb', '%00'])('When %s is read, then 404', async (orderId) => {
    expect((await service.http.get(`/api/orders/${orderId}`).set(asCaller(CUSTOMER))).status).toBe(404);
  });

  it('When an order has ended, then its events show its history', async () => {
    const orderId = await paidOrder();
    await service.deliver('shipment.dispatched', { order_id: orderId, tracking_number: 'SC1' });
    await service.deliver('shipment.delivered', { order_id: orderId, tracking_number: 'SC1' });
    const { body } = await service.http.get(`/api/orders/${orderId}/events`).set(asCaller(CUSTOMER));
    const { items } = body as { items: { id: string; type: string; version: number }[] };
    expect(items.map((event) => event.type)).toEqual([
      'order.created',
      'payment.requested',
      'order.paid',
      'order.shipped',
      'order.delivered',
    ]);
    expect(items[2]).toMatchObject({ id: `${orderId}:3`, version: 3, time: clock.toISOString() });
    expect(JSON.stringify(body)).not.toContain('tok_');
  });
});

describe('an order that is refunded', () => {
  const refunded = (order_id: string) =>
    service.deliver('payment.refunded', {
      order_id,
      payment_id: randomUUID(),
      refunded: 2500,
      currency: 'EUR',
    });
  const read = async (orderId: string) =>
    (await service.http.get(`/api/orders/${orderId}`).set(asCaller(CUSTOMER))).body as object;

  async function delivered(): Promise<string> {
    const orderId = await paidOrder();
    await service.deliver('shipment.dispatched', { order_id: orderId, tracking_number: 'SC1' });
    await service.deliver('shipment.delivered', { order_id: orderId, tracking_number: 'SC1' });
    await sweepAfter(1_000);
    expect(service.workList()).toEqual([]);
    return orderId;
  }

  it('When it was delivered, then its status stays and its stream has the refund', async () => {
    const orderId = await delivered();
    expect(await refunded(orderId)).toBe('SUCCESS');
    expect(await read(orderId)).toMatchObject({ status: 'DELIVERED', refunded: 2500, version: 6 });
    expect(service.publishedEvents('order.refunded')).toMatchObject([
      { id: `${orderId}:6`, data: { order: { order_id: orderId, refunded: 2500, version: 6 } } },
    ]);
    const { body } = await service.http.get(`/api/orders/${orderId}/events`).set(asCaller(CUSTOMER));
    expect((body as { items: object[] }).items.at(-1)).toMatchObject({
      type: 'order.refunded',
      version: 6,
      data: { refunded: 2500 },
    });
  });

  it('When the message is redelivered, then the same event is republished', async () => {
    const orderId = await delivered();
    await refunded(orderId);
    await refunded(orderId);
    const [first, second] = service.publishedEvents('order.refunded');
    expect(second).toEqual(first);
    expect(await read(orderId)).toMatchObject({ version: 6 });
  });

  it('When publishing fails, then the message is redelivered and publishes the event', async () => {
    const orderId = await delivered();
    // The last event is republished first, because nothing proves that it was received.
    const before = service.publishedEvents('order.delivered').length;
    service.sidecar.fail('publish');
    expect(await refunded(orderId)).toBe('RETRY');
    expect(await refunded(orderId)).toBe('SUCCESS');
    expect([
      service.publishedEvents('order.delivered').length - before,
      service.publishedEvents('order.refunded').length,
    ]).toEqual([1, 1]);
  });

  it('When it was final, then it is watched again until the event is republished', async () => {
    const orderId = await delivered();
    await refunded(orderId);
    expect(service.workList()).toEqual([orderId]);
    await sweepAfter(20_000);
    expect([service.publishedEvents('order.refunded').length, service.workList()]).toEqual([2, []]);
  });

  it('When it is watched after its end, then the stream has the refund and ends', async () => {
    const orderId = await delivered();
    await refunded(orderId);
    const { body } = await service.http.get(`/orders/${orderId}/changes?after=5`).set(asCaller(CUSTOMER));
    expect(body).toMatchObject({ items: [{ type: 'order.refunded' }], ended: true });
  });

  it('When it was cancelled, then its status already shows it and nothing changes', async () => {
    const orderId = await placed();
    await service.http.post(`/api/orders/${orderId}/cancel`).set(asCaller(CUSTOMER));
    expect(await refunded(orderId)).toBe('SUCCESS');
    expect(await read(orderId)).toMatchObject({ status: 'CANCELLED', version: 2 });
    expect(await read(orderId)).not.toHaveProperty('refunded');
  });
});

describe('an order that is returned', () => {
  const RETURNS = [randomUUID(), randomUUID()];
  const returned = (order_id: string, which: number, order_refunded: number) =>
    service.deliver('return.refunded', {
      return: {
        return_id: RETURNS[which],
        order_id,
        customer_id: CUSTOMER,
        status: 'REFUNDED',
        items: [{ product_id: 'mug', name: 'Mug', quantity: 2, unit_price: 100 }],
        total: 200,
        currency: 'EUR',
        received: [{ product_id: 'mug', quantity: 1, sellable: true }],
        refunded: 100,
        version: 4,
        created_at: clock.toISOString(),
        updated_at: clock.toISOString(),
      },
      order_refunded,
    });

  it('When two returns are refunded, in any order and twice, then the order shows both', async () => {
    const orderId = await paidOrder();
    await service.deliver('shipment.dispatched', { order_id: orderId, tracking_number: 'SC1' });
    await service.deliver('shipment.delivered', { order_id: orderId, tracking_number: 'SC1' });
    for (const [which, refunded] of [
      [1, 200],
      [0, 100],
      [1, 200],
      [0, 100],
    ] as const)
      expect(await returned(orderId, which, refunded)).toBe('SUCCESS');
    const { body } = await service.http.get(`/api/orders/${orderId}`).set(asCaller(CUSTOMER));
    const items = [{ product_id: 'mug', quantity: 1 }];
    expect(body).toMatchObject({
      status: 'DELIVERED',
      version: 7,
      refunded: 200,
      returned: [
        { return_id: RETURNS[1], items },
        { return_id: RETURNS[0], items },
      ],
    });
  });
});

describe('GET /orders/:id/changes', () => {
  const changes = (orderId: string, query = '', caller = asCaller(CUSTOMER)) =>
    service.http.get(`/orders/${orderId}/changes${query}`).set(caller);

  it('When an order has changed, then the list has its state after each event', async () => {
    const orderId = await paidOrder();
    const { status, body } = await changes(orderId);
    const { items, ended } = orderChangesSchema.parse(body);
    expect([status, ended]).toEqual([200, false]);
    expect(items.map(({ type, order }) => [type, order.status, order.version])).toEqual([
      ['order.created', 'PENDING', 1],
      ['payment.requested', 'RESERVED', 2],
      ['order.paid', 'PAID', 3],
    ]);
    expect(items.at(-1)?.order).toEqual(
      (await service.http.get(`/api/orders/${orderId}`).set(asCaller(CUSTOMER))).body,
    );
    expect(JSON.stringify(body)).not.toContain('tok_');
  });

  it.each([
    ['?after=2', [3]],
    ['?after=3', []],
  ])('When only changes %s are requested, then the list has those', async (query, versions) => {
    const { body } = await changes(await paidOrder(), query);
    expect(orderChangesSchema.parse(body).items.map(({ order }) => order.version)).toEqual(versions);
  });

  it.each(['?after=4', '?after=99'])('When the order has not reached %s, then 400', async (query) => {
    const { status, body } = await changes(await paidOrder(), query);
    expect([status, slugOf({ body })]).toEqual([400, 'no-such-version']);
  });

  it('When the order has ended, then the list is complete', async () => {
    const orderId = await placed();
    await service.deliver('inventory.rejected', { order_id: orderId, reason: 'out of stock' });
    expect((await changes(orderId, '?after=2')).body).toEqual({ items: [], ended: true });
  });

  it.each(['?after=-1', '?after=x', '?after=1.5'])('When the query has %s, then 400', async (query) => {
    expect((await changes(await placed(), query)).status).toBe(400);
  });

  it('When another customer calls, then 404', async () => {
    const orderId = await placed();
    expect((await changes(orderId, '', asCaller(randomUUID()))).status).toBe(404);
    expect((await changes(orderId, '', asCaller(randomUUID(), 'admin'))).status).toBe(200);
    expect((await service.http.get(`/orders/${orderId}/changes`)).status).toBe(401);
  });
});

describe('messages', () => {
  it('When a message is redelivered, then its event is republished with the same id', async () => {
    const orderId = await placed();
    for (const _ of [1, 2])
      expect(await service.deliver('inventory.reserved', { order_id: orderId })).toBe('SUCCESS');
    const published = service.publishedEvents('payment.requested');
    expect(published.map((event) => event.id)).toEqual([`${orderId}:2`, `${orderId}:2`]);
    expect(published[1]).toEqual(published[0]);
  });

  it('When publishing fails after the write, then the redelivered message publishes', async () => {
    const orderId = await placed();
    service.sidecar.fail('publish');
    expect(await service.deliver('inventory.reserved', { order_id: orderId })).toBe('RETRY');
    expect(service.publishedEvents('payment.requested')).toHaveLength(0);
    expect(await service.deliver('inventory.reserved', { order_id: orderId })).toBe('SUCCESS');
    expect(service.publishedEvents('payment.requested')).toHaveLength(1);
    expect(await statusOf(orderId)).toBe('RESERVED');
  });

  it('When an event was not published and another message arrives, then it is published before the order continues', async () => {
    const orderId = await paidOrder();
    service.sidecar.fail('publish');
    const shipment = { order_id: orderId, tracking_number: 't' };
    expect(await service.deliver('shipment.dispatched', shipment)).toBe('RETRY');
    expect(await service.deliver('shipment.delivered', shipment)).toBe('SUCCESS');
    expect(service.publishedEvents('order.shipped')).toHaveLength(1);
    expect(service.publishedEvents('order.delivered')).toHaveLength(1);
  });

  it('When the delivery is received before the dispatch and publishing fails, then both events are published in the end', async () => {
    const orderId = await paidOrder();
    service.sidecar.fail('publish');
    const shipment = { order_id: orderId, tracking_number: 't' };
    expect(await service.deliver('shipment.delivered', shipment)).toBe('RETRY');
    expect(await service.deliver('shipment.delivered', shipment)).toBe('SUCCESS');
    expect(service.publishedEvents('order.shipped')).not.toHaveLength(0);
    expect(service.publishedEvents('order.delivered')).toHaveLength(1);
    expect(await statusOf(orderId)).toBe('DELIVERED');
  });

  it('When messages of one order arrive at once, then each is applied', async () => {
    const orderId = await placed();
    const answers = await Promise.all([
      service.deliver('inventory.reserved', { order_id: orderId }),
      service.deliver('inventory.reserved', { order_id: orderId }),
      service.deliver('payment.processed', { order_id: orderId, payment_id: randomUUID() }),
    ]);
    expect(answers).toEqual(['SUCCESS', 'SUCCESS', 'SUCCESS']);
    expect(await statusOf(orderId)).toBe('PAID');
  });

  it.each([
    ['no data', undefined],
    ['a broken id', { order_id: 'x' }],
    ['an unknown order', { order_id: randomUUID() }],
  ])('When an event has %s, then it becomes a dead letter', async (_what, data) => {
    expect(await service.deliver('inventory.reserved', data)).toBe('DROP');
  });

  it('When the state is unavailable, then the event is redelivered', async () => {
    const orderId = await placed();
    service.sidecar.fail('state');
    expect(await service.deliver('inventory.reserved', { order_id: orderId })).toBe('RETRY');
  });
});

describe('cancelling', () => {
  const cancel = (orderId: string) =>
    service.http.post(`/api/orders/${orderId}/cancel`).set(asCaller(CUSTOMER));

  it('When it is unpaid, then it is cancelled and the event is published', async () => {
    const orderId = await placed();
    const response = await cancel(orderId).send({ reason: 'changed my mind' });
    expect(response.body).toMatchObject({ status: 'CANCELLED', reason: 'changed my mind' });
    expect(service.publishedEvents('order.cancelled')).toHaveLength(1);
  });

  it.each(['lost\ud800', 'lost\u0000', '\u200b', '\u202etsol'])(
    'When the reason is %j, then the 422 names it and nothing is cancelled',
    async (reason) => {
      const response = await cancel(await placed()).send({ reason });
      expect([response.status, (response.body as { errors: { field: string }[] }).errors[0]?.field]).toEqual([
        422,
        'reason',
      ]);
      expect(service.publishedEvents('order.cancelled')).toEqual([]);
    },
  );

  it('When it is cancelled twice, then the response is the same', async () => {
    const orderId = await placed();
    const [first, second] = [await cancel(orderId), await cancel(orderId)];
    expect(second.status).toBe(200);
    expect(second.body).toEqual(first.body);
  });

  it('When it is paid and fulfilment stops the parcel, then it is cancelled', async () => {
    const orderId = await paidOrder();
    service.sidecar.answer('fulfilment', () => ({ status: 200, body: { status: 'STOPPED' } }));
    expect((await cancel(orderId)).body).toMatchObject({ status: 'CANCELLED' });
    expect(service.sidecar.calls.at(-1)).toMatchObject({ path: `/shipments/${orderId}/stop` });
  });

  it('When the response of fulfilment is empty, then it does not count as a yes', async () => {
    const orderId = await paidOrder();
    service.sidecar.answer('fulfilment', () => ({ status: 200, body: EMPTY_BODY }));
    expect((await cancel(orderId)).status).toBe(503);
    expect(await statusOf(orderId)).toBe('PAID');
  });

  it('When the parcel was dispatched, then it is too late', async () => {
    const orderId = await paidOrder();
    service.sidecar.answer('fulfilment', () => ({ status: 409 }));
    expect((await cancel(orderId)).status).toBe(409);
    expect(await statusOf(orderId)).toBe('PAID');
  });

  it('When fulfilment is unavailable, then nothing is decided', async () => {
    const orderId = await paidOrder();
    expect((await cancel(orderId)).status).toBe(503);
    expect(await statusOf(orderId)).toBe('PAID');
  });

  it('When the caller disconnects before the response, then shipment.stopped completes the cancellation', async () => {
    const orderId = await paidOrder();
    await service.deliver('shipment.stopped', { order_id: orderId, reason: 'changed my mind' });
    expect(await statusOf(orderId)).toBe('CANCELLED');
  });

  it('When it belongs to another customer, then 404', async () => {
    const orderId = await placed();
    expect(
      (await service.http.post(`/api/orders/${orderId}/cancel`).set(asCaller(randomUUID()))).status,
    ).toBe(404);
  });
});

describe('DELETE /orders/:id/reason', () => {
  const SECRET = 'my neighbour Bob has one';
  const erase = (orderId: string) => service.http.delete(`/orders/${orderId}/reason`);
  const stored = () =>
    JSON.stringify([...service.sidecar.documents].filter(([key]) => key.startsWith('order')));
  const cancel = (orderId: string) =>
    service.http.post(`/api/orders/${orderId}/cancel`).set(asCaller(CUSTOMER)).send({ reason: SECRET });

  async function cancelledWhenPaid(): Promise<string> {
    const orderId = await paidOrder();
    service.sidecar.answer('fulfilment', () => ({ status: 200, body: { status: 'STOPPED' } }));
    await cancel(orderId);
    return orderId;
  }

  it('When an unpaid order was cancelled, then only the reason is erased from its stream', async () => {
    const orderId = await placed();
    const before = (await cancel(orderId)).body as object;
    const response = await erase(orderId);
    expect([response.status, response.body]).toEqual([200, { ...before, reason: ERASED_REASON }]);
    expect(stored()).not.toContain(SECRET);
    const { body } = await service.http.get(`/api/orders/${orderId}`).set(asCaller(CUSTOMER));
    expect(body).toEqual(response.body);
  });

  it('When a paid order was cancelled, then fulfilment erases it first', async () => {
    const orderId = await cancelledWhenPaid();
    let keptThen = '';
    service.sidecar.answer('fulfilment', ({ method, path }) => {
      expect([method, path]).toEqual(['DELETE', `/shipments/${orderId}/reason`]);
      keptThen = stored();
      return { status: 204 };
    });
    expect((await erase(orderId)).status).toBe(200);
    expect([keptThen.includes(SECRET), stored().includes(SECRET)]).toEqual([true, false]);
  });

  it('When fulfilment is unavailable, then 503, and a retry succeeds', async () => {
    const orderId = await cancelledWhenPaid();
    service.sidecar.answer('fulfilment', () => ({ status: 500 }));
    expect((await erase(orderId)).status).toBe(503);
    expect(stored()).toContain(SECRET);
  });

  it('When it is called twice, then the second call changes nothing', async () => {
    const orderId = await placed();
    await cancel(orderId);
    const [first, second] = [await erase(orderId), await erase(orderId)];
    expect(second.body).toEqual(first.body);
  });

  it('When an order was not cancelled, then nothing changes', async () => {
    const orderId = await placed();
    await service.deliver('inventory.rejected', { order_id: orderId, reason: 'sold out' });
    expect((await erase(orderId)).body).toMatchObject({ status: 'REJECTED', reason: 'sold out', version: 2 });
  });

  it.each([[randomUUID()], ['nonsense']])('When there is no order %s, then 404', async (orderId) => {
    expect((await erase(orderId)).status).toBe(404);
  });
});

describe('PUT /api/orders/:id/status', () => {
  const put = (orderId: string, status: unknown, role: 'admin' | 'customer' = 'admin') =>
    service.http.put(`/api/orders/${orderId}/status`).set(asCaller(randomUUID(), role)).send({ status });

  it('When the caller is a customer, then 403', async () => {
    expect((await put(await placed(), 'SHIPPED', 'customer')).status).toBe(403);
  });

  it('When an administrator sets a paid order to shipped and delivered, then it changes', async () => {
    const orderId = await paidOrder();
    for (const status of ['SHIPPED', 'SHIPPED', 'DELIVERED'])
      expect((await put(orderId, status)).body).toMatchObject({ status });
  });

  it.each(['PENDING', 'SHIPPED', 'DELIVERED', 'PAID', 'EXPIRED'])(
    'When a reserved order is set to %s, then it is rejected',
    async (status) => {
      const orderId = await placed();
      await service.deliver('inventory.reserved', { order_id: orderId });
      expect((await put(orderId, status)).status).toBe(409);
      expect(await statusOf(orderId)).toBe('RESERVED');
    },
  );

  it('When the status is unknown, then the response names the field', async () => {
    expect((await put(await placed(), 'LOST')).status).toBe(422);
  });
});

describe('the watchdog', () => {
  it('When an order waits, then its last event is republished, after growing pauses', async () => {
    const orderId = await placed();
    await sweepAfter(0);
    await sweepAfter(6_000);
    expect(service.publishedEvents('order.created').map((event) => event.id)).toEqual([
      `${orderId}:1`,
      `${orderId}:1`,
    ]);
    await sweepAfter(11_999);
    expect(service.publishedEvents('order.created')).toHaveLength(2);
    await sweepAfter(1);
    expect(service.publishedEvents('order.created')).toHaveLength(3);
  });

  it('When an order has just changed, then nothing is published before the next check', async () => {
    const orderId = await placed();
    setClock(6_000);
    await service.deliver('inventory.reserved', { order_id: orderId });
    await sweepAfter(4_000);
    expect(service.publishedEvents('payment.requested')).toHaveLength(1);
    await sweepAfter(5_000);
    expect(service.publishedEvents('payment.requested')).toHaveLength(2);
  });

  it('When the payment deadline passes, then the order expires', async () => {
    const orderId = await placed();
    await sweepAfter(0);
    await sweepAfter(60_000);
    expect(await statusOf(orderId)).toBe('EXPIRED');
    expect(service.publishedEvents('order.expired')).toHaveLength(1);
  });

  it('When it sweeps every second, then an order expires at its deadline', async () => {
    const orderId = await placed();
    await sweepAfter(0);
    for (let seconds = 0; seconds < 59; seconds++) await sweepAfter(1_000);
    expect(await statusOf(orderId)).toBe('PENDING');
    await sweepAfter(1_000);
    expect(await statusOf(orderId)).toBe('EXPIRED');
  });

  it.each([
    ['ahead', 3_600_000],
    ['behind', -3_600_000],
  ])('When the clock is set an hour %s, then an order neither expires nor is forgotten', async (_, by) => {
    const orderId = await placed();
    await sweepAfter(0);
    setClock(by);
    await sweepAfter(12_000);
    expect(await statusOf(orderId)).toBe('PENDING');
    expect(service.publishedEvents('order.created')).toHaveLength(2);
    for (let seconds = 12; seconds < 60; seconds++) await sweepAfter(1_000);
    expect(await statusOf(orderId)).toBe('EXPIRED');
  });

  it.each([
    ['ahead', 3_600_000],
    ['behind', -3_600_000],
  ])('When a clock an hour %s has written an order, then it expires on time', async (_, by) => {
    setClock(by);
    const orderId = await placed();
    setClock(-by);
    await sweepAfter(0);
    await sweepAfter(59_000);
    expect(await statusOf(orderId)).toBe('PENDING');
    await sweepAfter(1_000);
    expect(await statusOf(orderId)).toBe('EXPIRED');
  });

  it('When the deadline passes after payment, then the order continues', async () => {
    const orderId = await paidOrder();
    await sweepAfter(0);
    await sweepAfter(64_000);
    expect(await statusOf(orderId)).toBe('PAID');
    expect(service.publishedEvents('order.paid')).toHaveLength(2);
  });

  it('When the order has been final for a while, then its event is republished once and it is no longer watched', async () => {
    const orderId = await placed();
    await service.deliver('payment.failed', { order_id: orderId, reason: 'declined' });
    await sweepAfter(1_000);
    expect(service.publishedEvents('order.payment_failed')).toHaveLength(1);
    expect(service.workList()).toEqual([orderId]);
    await sweepAfter(10_000);
    expect(service.publishedEvents('order.payment_failed')).toHaveLength(2);
    expect(service.workList()).toEqual([]);
  });

  it('When publishing fails, then the order is checked again soon', async () => {
    const orderId = await placed();
    await service.deliver('payment.failed', { order_id: orderId, reason: 'declined' });
    service.sidecar.fail('publish');
    await sweepAfter(10_000);
    expect(service.workList()).toEqual([orderId]);
    await sweepAfter(2_000);
    expect(service.publishedEvents('order.payment_failed')).toHaveLength(2);
    expect(service.workList()).toEqual([]);
  });

  it('When a message has ended an order, then no event is republished', async () => {
    const orderId = await placed();
    await service.deliver('inventory.rejected', { order_id: orderId, reason: 'sold out' });
    await sweepAfter(1_000);
    const { body } = await service.http.get('/orders').set(asCaller(CUSTOMER));
    expect(body).toMatchObject({ items: [{ order_id: orderId, status: 'REJECTED' }] });
    expect(service.publishedEvents('order.rejected')).toHaveLength(1);
    expect(service.workList()).toEqual([]);
  });

  it('When a command has ended an order, then its event is republished once', async () => {
    const orderId = await paidOrder();
    for (const status of ['SHIPPED', 'DELIVERED'])
      await service.http
        .put(`/api/orders/${orderId}/status`)
        .set(asCaller(CUSTOMER, 'admin'))
        .send({ status });
    await sweepAfter(6_000);
    expect(service.publishedEvents('order.delivered')).toHaveLength(2);
    expect(service.workList()).toEqual([]);
  });
});
