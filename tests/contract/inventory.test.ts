import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import catalogue from '../../services/inventory/catalogue.json' with { type: 'json' };
import type { reservationSchema, stockedProductSchema } from '../../services/inventory/contract.ts';
import type { StateCall } from '../support/fake-sidecar.ts';
import { buildOrder } from '../support/orders.ts';
import { checkService, type Call, type CheckedService } from './checked-service.ts';
import { isChecked, requestLine } from './service-process.ts';
import { ADMIN, CUSTOMER } from './subject.ts';

type StockedProduct = z.infer<typeof stockedProductSchema>;
type Reservation = z.infer<typeof reservationSchema>;

const ENDINGS = ['order.payment_failed', 'order.cancelled', 'order.expired'];

/** What openapi.json of `inventory` states in its description. Replica 1 shares the state with replica 0, and no memory. */
describe.runIf(isChecked('inventory'))('inventory: openapi.json, info.description', () => {
  let service: CheckedService;
  let ORDER: string;
  let seeded: Map<string, unknown>;

  beforeAll(async () => {
    service = await checkService('inventory');
    seeded = new Map([...service.sidecar.documents].map(([key, { value }]) => [key, structuredClone(value)]));
  });
  afterAll(() => service?.stop());
  beforeEach(() => {
    service.reset();
    ORDER = randomUUID();
    save('mug', { on_hand: 10, low_stock_threshold: 3 });
    save('pen', { on_hand: 2, low_stock_threshold: 1 });
    put('index:products', { count: 2 });
    put('index:products:0', ['pen', 'mug']);
  });
  afterEach(() => {
    service.assertDocumented();
    assertSound();
  });

  function assertSound() {
    for (const [key, { value }] of service.sidecar.documents) {
      if (!key.startsWith('product:')) continue;
      const { on_hand, reserved, sold, stocked } = value as StockedProduct;
      expect([key, reserved >= 0 && reserved <= on_hand, stocked]).toEqual([key, true, on_hand + sold]);
    }
  }
  const put = (key: string, value: unknown) =>
    void service.sidecar.documents.set(key, { value, etag: randomUUID() });
  function save(product_id: string, more: Partial<StockedProduct>) {
    const on_hand = more.on_hand ?? 0;
    const known = {
      name: product_id,
      unit_price: 1290,
      currency: 'EUR',
      reserved: 0,
      sold: 0,
      stocked: on_hand,
    };
    put(`product:${product_id}`, {
      product_id,
      low_stock_threshold: 5,
      revision: 1,
      on_hand,
      ...known,
      ...more,
    });
  }
  const orderOf = (lines: Record<string, number>, order_id = ORDER) => ({
    order: buildOrder({
      order_id,
      items: Object.entries(lines).map(([product_id, quantity]) => ({
        product_id,
        name: 'x',
        quantity,
        unit_price: 1290,
      })),
    }),
  });
  const deliver = (type: string, lines: Record<string, number>, replica = 0, orderId = ORDER) =>
    service.deliver(type, orderOf(lines, orderId), { replica });
  const product = (id: string) => service.sidecar.documents.get(`product:${id}`)?.value as StockedProduct;
  const figures = (id: string) => {
    const { on_hand, reserved, sold } = product(id);
    return [on_hand, reserved, sold];
  };
  const reservation = () =>
    service.sidecar.documents.get(`reservation:${ORDER}`)?.value as Reservation | undefined;
  const published = () => service.sidecar.published;
  const all = () => JSON.stringify([...service.sidecar.documents].map(([key, { value }]) => [key, value]));
  const get = (path: string, headers: Record<string, string> = {}) =>
    service.call('GET', path, { headers: { ...CUSTOMER, ...headers } });
  const change = (id: string, json: unknown, headers: Record<string, string> = {}, replica = 0) =>
    service.call('PUT', `/api/inventory/${id}`, { headers: { ...ADMIN, ...headers }, json, replica });
  const restock = (id: string, quantity: unknown, headers: Record<string, string> = {}, replica = 0) =>
    service.call('POST', `/api/inventory/${id}/restock`, {
      headers: { ...ADMIN, ...headers },
      json: { quantity },
      replica,
    });
  const ids = (answer: { body: { items: Record<string, unknown>[] } }) =>
    answer.body.items.map((one) => one['product_id']);

  describe('the start', () => {
    it('When the state is empty, then the catalogue is added, and lists have its order', () => {
      const listed = seeded.get('index:products:0') as string[];
      expect(listed.toReversed()).toEqual(catalogue.map(({ product_id }) => product_id));
      expect(seeded.get('index:products')).toEqual({ count: catalogue.length });
      for (const one of catalogue)
        expect(seeded.get(`product:${one.product_id}`)).toEqual({
          ...one,
          reserved: 0,
          sold: 0,
          stocked: one.on_hand,
          revision: 1,
        });
    });
  });

  describe('order.created', () => {
    it('When there is enough stock, then it is reserved and published', async () => {
      expect(await deliver('order.created', { mug: 2, pen: 1 })).toBe('SUCCESS');
      expect([figures('mug'), figures('pen'), product('mug').revision]).toEqual([[10, 2, 0], [2, 1, 0], 2]);
      const lines = [
        { product_id: 'mug', quantity: 2 },
        { product_id: 'pen', quantity: 1 },
      ];
      expect(reservation()).toMatchObject({ order_id: ORDER, status: 'RESERVED', lines });
      expect(published()).toMatchObject([
        {
          type: 'inventory.reserved',
          id: `${ORDER}:reserved`,
          subject: ORDER,
          time: reservation()?.time,
          data: { order_id: ORDER },
        },
      ]);
    });

    it('When lines are short, then nothing is reserved and the reason names them', async () => {
      expect(await deliver('order.created', { mug: 2, pen: 3, unknown: 1 })).toBe('SUCCESS');
      expect([figures('mug'), reservation()?.status, reservation()?.lines]).toEqual([
        [10, 0, 0],
        'REJECTED',
        [],
      ]);
      const reason = 'out of stock: pen (3 wanted, 2 available), unknown (1 wanted, 0 available)';
      expect(published()).toMatchObject([
        {
          type: 'inventory.rejected',
          id: `${ORDER}:rejected`,
          time: reservation()?.time,
          data: { order_id: ORDER, reason },
        },
      ]);
    });

    it('When two lines have the same product, then they count together', async () => {
      const { order } = orderOf({ pen: 1 });
      const items = [...order.items, { ...order.items[0]!, quantity: 2 }];
      await service.deliver('order.created', { order: { ...order, items } });
      expect(published()).toMatchObject([{ data: { reason: 'out of stock: pen (3 wanted, 2 available)' } }]);
    });

    it.each([
      ['reserved', 2],
      ['rejected', 11],
    ])(
      'When an order that was %s arrives again, then another process publishes the same event',
      async (_, mugs) => {
        await deliver('order.created', { mug: mugs });
        const before = all();
        expect(await deliver('order.created', { mug: mugs }, 1)).toBe('SUCCESS');
        expect([all(), published().length]).toEqual([before, 2]);
      },
    );

    it('When a rejected order arrives again after a restock, then it stays rejected', async () => {
      await deliver('order.created', { pen: 3 });
      await restock('pen', 5);
      await deliver('order.created', { pen: 3 }, 1);
      expect(published().map(({ type }) => type)).toEqual(['inventory.rejected', 'inventory.rejected']);
    });

    it('When publishing fails, then the redelivery publishes and reserves nothing more', async () => {
      service.sidecar.fail('publish');
      expect([
        await deliver('order.created', { mug: 2 }),
        await deliver('order.created', { mug: 2 }),
      ]).toEqual(['RETRY', 'SUCCESS']);
      expect([published().length, figures('mug')]).toEqual([1, [10, 2, 0]]);
    });

    it('When twenty orders want the last ten mugs at once, then ten get them', async () => {
      const orders = Array.from({ length: 20 }, () => randomUUID());
      const once = () =>
        Promise.all(orders.map((orderId, n) => deliver('order.created', { mug: 1 }, n % 2, orderId)));
      let answers = await once();
      while (answers.includes('RETRY')) answers = await once();
      expect(figures('mug')).toEqual([10, 10, 0]);
      const reserved = published()
        .filter(({ type }) => type === 'inventory.reserved')
        .map(({ subject }) => subject);
      expect(new Set(reserved).size).toBe(10);
    });

    it('When another process changes the product between load and save, then both changes count', async () => {
      let done = false;
      service.sidecar.onStateCall(async ({ op, keys }: StateCall) => {
        if (done || op !== 'write' || !keys.includes('product:mug')) return;
        done = true;
        await deliver('order.created', { mug: 3 }, 1, randomUUID());
      });
      expect(await deliver('order.created', { mug: 2 })).toBe('SUCCESS');
      expect(figures('mug')).toEqual([10, 5, 0]);
    });

    it('When it changes documents, then it saves them in one transaction', async () => {
      const writes: string[][] = [];
      service.sidecar.onStateCall(({ op, keys }) => void (op === 'write' && writes.push(keys.toSorted())));
      await deliver('order.created', { mug: 2, pen: 1 });
      expect(writes).toEqual([['product:mug', 'product:pen', `reservation:${ORDER}`]]);
    });

    it.each([0, -2, 0.5])('When a quantity is %d, then it is dropped', async (quantity) => {
      expect([await deliver('order.created', { mug: quantity }), figures('mug')]).toEqual([
        'DROP',
        [10, 0, 0],
      ]);
    });
  });

  describe('order.paid', () => {
    it('When its lines are reserved, then they are sold once, also in another process', async () => {
      await deliver('order.created', { mug: 2 });
      expect([await deliver('order.paid', { mug: 2 }), await deliver('order.paid', { mug: 2 }, 1)]).toEqual([
        'SUCCESS',
        'SUCCESS',
      ]);
      expect([figures('mug'), reservation()?.status]).toEqual([[8, 0, 2], 'SOLD']);
    });

    it('When it arrives before order.created, then RETRY and nothing is saved', async () => {
      expect([await deliver('order.paid', { mug: 2 }), reservation()]).toEqual(['RETRY', undefined]);
    });

    it('When a product falls to its threshold, then stock.low is published, and again when redelivered', async () => {
      await deliver('order.created', { mug: 2, pen: 1 });
      service.sidecar.published.length = 0;
      await deliver('order.paid', { mug: 2, pen: 1 });
      await deliver('order.created', { pen: 1 }, 0, randomUUID());
      await deliver('order.paid', { mug: 2, pen: 1 }, 1);
      const low = published().filter(({ type }) => type === 'stock.low');
      const event = {
        id: `${ORDER}:low:pen`,
        subject: 'pen',
        time: reservation()?.sale?.time,
        data: { product_id: 'pen', available: 1 },
      };
      expect(low).toMatchObject([event, event]);
      expect(low).toHaveLength(2);
    });

    it('When the order has ended before, then nothing changes', async () => {
      await deliver('order.created', { mug: 2 });
      await deliver('order.expired', { mug: 2 });
      expect([await deliver('order.paid', { mug: 2 }), figures('mug')]).toEqual(['SUCCESS', [10, 0, 0]]);
    });
  });

  describe.each(ENDINGS)('%s', (ending) => {
    it.each([
      ['reserved', ['order.created']],
      ['sold', ['order.created', 'order.paid']],
    ])('When the lines are %s, then they are available again, once', async (_, before) => {
      for (const type of before) await deliver(type, { mug: 2 });
      expect([await deliver(ending, { mug: 2 }), await deliver(ending, { mug: 2 }, 1)]).toEqual([
        'SUCCESS',
        'SUCCESS',
      ]);
      expect([figures('mug'), reservation()?.status]).toEqual([[10, 0, 0], 'RELEASED']);
    });

    it('When it comes before order.created, then that order is rejected', async () => {
      expect([await deliver(ending, { mug: 2 }), await deliver('order.created', { mug: 2 }, 1)]).toEqual([
        'SUCCESS',
        'SUCCESS',
      ]);
      const data = { order_id: ORDER, reason: 'the order ended before its stock was reserved' };
      expect([published(), figures('mug')]).toMatchObject([
        [{ type: 'inventory.rejected', data }],
        [10, 0, 0],
      ]);
    });
  });

  describe('every order of four events', () => {
    const EVENTS = ['order.created', 'order.paid', 'order.cancelled'] as const;
    const sequences = EVENTS.flatMap((one) =>
      EVENTS.flatMap((two) => EVENTS.map((three) => [one, two, three] as const)),
    );

    it.each(sequences)(
      'When %s, %s and %s are followed by all three, then the order ends RELEASED',
      async (...sequence) => {
        for (const [n, type] of [...sequence, 'order.created', 'order.paid', 'order.cancelled'].entries())
          expect(await deliver(type, { mug: 2, pen: 1 }, n % 2)).not.toBe('DROP');
        expect([figures('mug'), figures('pen'), reservation()?.status]).toEqual([
          [10, 0, 0],
          [2, 0, 0],
          'RELEASED',
        ]);
      },
    );
  });

  describe('GET /api/inventory', () => {
    it('When the client follows the pages, then every product occurs once, newest first', async () => {
      const first = await get('/api/inventory?limit=1');
      const cursor = String(first.body['next_cursor']);
      expect(Buffer.from(cursor, 'base64url').toString()).toBe('before:1');
      expect(first.headers.get('link')).toBe(`</api/inventory?limit=1&cursor=${cursor}>; rel="next"`);
      const second = await get(`/api/inventory?limit=1&cursor=${cursor}`);
      expect([ids(first), ids(second), second.body['next_cursor'], second.headers.get('link')]).toEqual([
        ['mug'],
        ['pen'],
        null,
        null,
      ]);
    });

    it.each(['limit=0', 'limit=101', 'limit=ten', 'limit=01', 'cursor=nonsense', 'cursor=a&cursor=b'])(
      'When the query is %s, then 400',
      async (query) => {
        const { slug, body } = await get(`/api/inventory?${query}`);
        expect([slug, body.errors?.[0]?.field]).toEqual(['invalid-query', query.split('=')[0]]);
      },
    );
  });

  describe('GET /api/inventory/{product_id}', () => {
    it('When it exists, then the response has its figures and its revision as ETag', async () => {
      save('mug', { on_hand: 10, reserved: 4, revision: 7 });
      const { body, headers } = await get('/api/inventory/mug');
      expect(body).toEqual({
        product_id: 'mug',
        name: 'mug',
        unit_price: 1290,
        currency: 'EUR',
        on_hand: 10,
        reserved: 4,
        available: 6,
      });
      expect([headers.get('etag'), headers.get('cache-control')]).toEqual(['"7"', 'no-cache']);
    });

    it.each(['"7"', 'W/"7"', '"6", "7"', '*'])('When If-None-Match is %s, then 304', async (tags) => {
      save('mug', { on_hand: 10, revision: 7 });
      expect((await get('/api/inventory/mug', { 'if-none-match': tags })).status).toBe(304);
      expect((await get('/api/inventory/mug', { 'if-none-match': '"6"' })).status).toBe(200);
    });

    it.each(['teapot', 'a.b', 'a'.repeat(65), 'index:products', '%00', '__proto__'])(
      'When the id is %s, then 404',
      async (id) => {
        expect((await get(`/api/inventory/${id}`)).slug).toBe('not-found');
      },
    );
  });

  describe('PUT /api/inventory/{product_id}', () => {
    it('When it does not exist, then it is created without stock, in EUR, and listed', async () => {
      const { status, body, headers } = await change('teapot', { name: ' Teapot ', unit_price: 5900 });
      expect([status, headers.get('etag')]).toEqual([201, '"1"']);
      expect(body).toEqual({
        product_id: 'teapot',
        name: 'Teapot',
        unit_price: 5900,
        currency: 'EUR',
        on_hand: 0,
        reserved: 0,
        available: 0,
      });
      expect([ids(await get('/api/inventory')), product('teapot')]).toMatchObject([
        ['teapot', 'mug', 'pen'],
        { low_stock_threshold: 5, stocked: 0, revision: 1 },
      ]);
    });

    it('When it exists, then name and price change, and stock and currency do not', async () => {
      save('mug', { on_hand: 10, currency: 'CHF' });
      const { status, body } = await change('mug', { name: 'Cup', unit_price: 0 });
      expect([status, body]).toMatchObject([
        200,
        { name: 'Cup', unit_price: 0, on_hand: 10, currency: 'CHF' },
      ]);
      expect((await change('mug', { name: 'Cup', unit_price: 1, currency: 'USD' })).body['currency']).toBe(
        'USD',
      );
    });

    it('When two processes create it at once, then one creates it and it is listed once', async () => {
      const answers = await Promise.all(
        [0, 1].map((n) => change('teapot', { name: 'T', unit_price: n }, {}, n)),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 201]));
      expect(ids(await get('/api/inventory')).filter((id) => id === 'teapot')).toHaveLength(1);
    });

    it.each([
      [{ 'if-match': '"7"' }, 200],
      [{ 'if-match': '*' }, 200],
      [{ 'if-match': '"6", "7"' }, 200],
      [{ 'if-match': '"6"' }, 412],
      [{ 'if-match': 'W/"7"' }, 412],
      [{ 'if-none-match': '*' }, 412],
    ])('When the headers are %o, then %i', async (headers, status) => {
      save('mug', { on_hand: 10, revision: 7 });
      const before = all();
      expect((await change('mug', { name: 'Cup', unit_price: 1 }, headers)).status).toBe(status);
      expect(all() === before).toBe(status === 412);
    });

    it.each([
      [{}, ['name', 'unit_price']],
      [{ name: '', unit_price: 1 }, ['name']],
      [{ name: 'x'.repeat(201), unit_price: 1 }, ['name']],
      [{ name: 'Bag', unit_price: 1.5 }, ['unit_price']],
      [{ name: 'Bag', unit_price: 1e12 }, ['unit_price']],
      [{ name: 'Bag', unit_price: 1, currency: 'ABC' }, ['currency']],
      [[], ['']],
    ])('When the body is %j, then the 422 names %j and nothing changes', async (json, fields) => {
      const before = all();
      const { slug, body } = await change('mug', json);
      expect([slug, body.errors?.map(({ field }) => field).toSorted(), all()]).toEqual([
        'invalid-input',
        fields,
        before,
      ]);
    });

    it('When the state is unavailable, then 503', async () => {
      service.sidecar.fail('state', 10);
      const { slug, headers } = await change('mug', { name: 'Cup', unit_price: 1 });
      expect([slug, headers.get('retry-after')]).toEqual(['unavailable', '1']);
    });
  });

  describe('POST /api/inventory/{product_id}/restock', () => {
    it('When many come at once, then none is lost', async () => {
      const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => restock('pen', 1, {}, n % 2)));
      const added = answers.filter(({ status }) => status === 200).length;
      expect([figures('pen'), product('pen').stocked]).toEqual([[2 + added, 0, 0], 2 + added]);
      expect(added).toBeGreaterThan(0);
    });

    it('When it repeats a key, then another process adds nothing and replays the response', async () => {
      const key = { 'idempotency-key': randomUUID() };
      const first = await restock('pen', 5, key);
      const second = await restock('pen', 5, key, 1);
      expect([second.status, second.body, second.headers.get('idempotent-replayed')]).toEqual([
        200,
        first.body,
        'true',
      ]);
      expect(figures('pen')).toEqual([7, 0, 0]);
      expect((await restock('pen', 6, key)).slug).toBe('idempotency-key-reused');
    });

    it('When storing the response fails, then a repeated key adds nothing', async () => {
      const key = { 'idempotency-key': randomUUID() };
      service.sidecar.onStateCall(({ op, keys }) => {
        if (op === 'write' && keys.some((one) => one.startsWith('idempotency:'))) throw new Error('lost');
      });
      expect((await restock('pen', 5, key)).status).toBe(200);
      service.sidecar.onStateCall(() => {});
      await restock('pen', 5, key, 1);
      expect(figures('pen')).toEqual([7, 0, 0]);
      expect((await restock('mug', 5, key)).slug).toBe('idempotency-key-reused');
    });

    it.each([0, -3, 0.5, 1_000_001, '3', undefined])(
      'When the quantity is %j, then the 422 names it',
      async (quantity) => {
        const { slug, body } = await restock('pen', quantity);
        expect([slug, body.errors?.map(({ field }) => field), figures('pen')]).toEqual([
          'invalid-input',
          ['quantity'],
          [2, 0, 0],
        ]);
      },
    );

    it('When the product does not exist, then 404 and nothing is saved', async () => {
      const before = all();
      expect([(await restock('teapot', 1)).slug, all()]).toEqual(['not-found', before]);
    });
  });

  describe('PUT /returns/{order_id}/{return_id}', () => {
    const [ONE, TWO] = [randomUUID(), randomUUID()];
    const takeBack = (lines: Record<string, number>, returnId: string, call: Call = {}) => {
      const items = Object.entries(lines).map(([product_id, quantity]) => ({ product_id, quantity }));
      return service.call('PUT', `/returns/${ORDER}/${returnId}`, { json: { items }, ...call });
    };
    const sell = async (lines: Record<string, number>) => {
      for (const type of ['order.created', 'order.paid']) await deliver(type, lines);
      service.sidecar.published.length = 0;
    };

    it('When it is repeated, then another process gets the same answer and adds nothing', async () => {
      await sell({ mug: 3 });
      const [before, { revision }] = [reservation()!, product('mug')];
      const first = await takeBack({ mug: 1 }, ONE);
      expect([first.status, first.headers.get('cache-control')]).toEqual([204, 'no-store']);
      expect((await takeBack({ mug: 2 }, ONE.toUpperCase(), { replica: 1 })).status).toBe(204);
      expect([figures('mug'), product('mug').revision]).toEqual([[8, 0, 2], revision + 1]);
      expect([reservation(), published()]).toEqual([{ ...before, returned: [ONE] }, []]);
    });

    it('When two returns exceed what is sold, then no more comes back', async () => {
      await sell({ mug: 3, pen: 1 });
      await takeBack({ mug: 2 }, ONE);
      expect((await takeBack({ mug: 2, pen: 1 }, TWO, { replica: 1 })).status).toBe(204);
      expect([figures('mug'), figures('pen'), reservation()?.returned]).toEqual([
        [10, 0, 0],
        [2, 0, 0],
        [ONE, TWO],
      ]);
    });

    it('When a product is gone and another has two lines, then all known lines come back, in one transaction', async () => {
      await sell({ mug: 3 });
      const writes: string[][] = [];
      service.sidecar.onStateCall(({ op, keys }) => void (op === 'write' && writes.push(keys.toSorted())));
      const items = ['mug', 'teapot', 'mug'].map((product_id) => ({ product_id, quantity: 1 }));
      const { revision } = product('mug');
      await takeBack({}, ONE, { json: { items } });
      expect(product('mug').revision).toBe(revision + 1);
      expect([figures('mug'), writes]).toEqual([[9, 0, 1], [['product:mug', `reservation:${ORDER}`]]]);
    });

    it('When nothing is sellable, then the return is noted', async () => {
      await sell({ mug: 3 });
      expect([(await takeBack({}, ONE)).status, figures('mug'), reservation()?.returned]).toEqual([
        204,
        [7, 0, 3],
        [ONE],
      ]);
    });

    it('When events are redelivered after it, then the return stays noted', async () => {
      await sell({ mug: 3 });
      await takeBack({ mug: 1 }, ONE);
      for (const type of ['order.created', 'order.paid']) await deliver(type, { mug: 3 }, 1);
      expect([figures('mug'), reservation()]).toMatchObject([[8, 0, 2], { status: 'SOLD', returned: [ONE] }]);
    });

    it('When the reservation does not exist, then 404 and nothing is saved', async () => {
      const before = all();
      expect([(await takeBack({ mug: 1 }, ONE)).slug, all()]).toEqual(['not-found', before]);
    });

    it.each([
      ['missing', 'items', {}],
      [
        'too long',
        'items',
        { items: Array.from({ length: 51 }, () => ({ product_id: 'mug', quantity: 1 })) },
      ],
      ['missing', 'items.0.quantity', { items: [{ product_id: 'mug' }] }],
      ['0', 'items.0.quantity', { items: [{ product_id: 'mug', quantity: 0 }] }],
      ['malformed', 'items.0.product_id', { items: [{ product_id: 'a.b', quantity: 1 }] }],
    ])('When the body has a %s %s, then the 422 names it and nothing changes', async (_, field, json) => {
      await sell({ mug: 3 });
      const before = all();
      const { slug, body } = await takeBack({}, ONE, { json });
      expect([slug, body.errors?.map((one) => one.field), all()]).toEqual(['invalid-input', [field], before]);
    });

    it.each([
      ['the product', 'product:mug', () => restock('mug', 5, {}, 1), [13, 0, 2]],
      ['the reservation', 'reservation:', () => takeBack({ mug: 1 }, TWO, { replica: 1 }), [9, 0, 1]],
    ] as const)(
      'When another process changes %s between load and save, then both count',
      async (_, key, act, after) => {
        await sell({ mug: 3 });
        let done = false;
        service.sidecar.onStateCall(async ({ op, keys }: StateCall) => {
          if (done || op !== 'write' || !keys.some((one) => one.startsWith(key))) return;
          done = true;
          await act();
        });
        expect((await takeBack({ mug: 1 }, ONE)).status).toBe(204);
        expect([figures('mug'), reservation()?.returned?.includes(ONE)]).toEqual([after, true]);
      },
    );

    it('When the state is unavailable, then 503; the repetition adds once', async () => {
      await sell({ mug: 3 });
      service.sidecar.fail('state', 10);
      const { slug, headers } = await takeBack({ mug: 1 }, ONE);
      expect([slug, headers.get('retry-after')]).toEqual(['unavailable', '1']);
      service.sidecar.fail('state', 0);
      await takeBack({ mug: 1 }, ONE);
      expect(figures('mug')).toEqual([8, 0, 2]);
    });

    it('When it ends, then its log line has the order', async () => {
      const id = randomUUID();
      await takeBack({ mug: 1 }, ONE, { headers: { 'x-request-id': id } });
      expect(await requestLine(service.replicas[0]!, id)).toMatchObject({
        route: '/returns/:order_id/:return_id',
        order_id: ORDER,
        status: 404,
      });
    });
  });

  describe('GET /products', () => {
    it('When it gets ids, then it returns the known products in their order', async () => {
      expect(ids(await get('/products?ids=pen,teapot,mug,pen'))).toEqual(['pen', 'mug']);
    });

    it.each([
      '',
      'ids=',
      'ids=a.b',
      'ids=mug,,pen',
      'ids=a&ids=b',
      `ids=${Array.from({ length: 51 }, (_, n) => `p${n}`).join(',')}`,
    ])('When the query is "%s", then 400', async (query) => {
      expect((await get(`/products?${query}`)).slug).toBe('invalid-query');
    });
  });

  it('openapi.json, x-metrics: when events are redelivered, then each status is counted once', async () => {
    const counters = async () => {
      const text = await (await fetch(`${service.replicas[0]!.url}/metrics`)).text();
      return ['RESERVED', 'SOLD', 'RELEASED'].map((status) =>
        Number(
          new RegExp(`^inventory_reservations_total\\{status="${status}"\\} ([\\d.]+)$`, 'm').exec(text)?.[1],
        ),
      );
    };
    const before = await counters();
    for (const type of ['order.created', 'order.created', 'order.paid', 'order.paid', 'order.cancelled'])
      await deliver(type, { mug: 2 });
    expect((await counters()).map((count, n) => count - before[n]!)).toEqual([1, 1, 1]);
  });
});
