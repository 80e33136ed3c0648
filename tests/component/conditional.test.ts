import type { Request } from 'express';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp as inventoryApp } from '../../services/inventory/app.ts';
import { createApp as ordersApp } from '../../services/orders/app.ts';
import { assertPreconditions, versionTag, withoutCodings } from '../../services/shared/http/preconditions.ts';
import { ProblemError } from '../../services/shared/http/problem.ts';
import { buildEvent } from '../support/events.ts';
import { asCaller, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const CUSTOMER = asCaller(randomUUID());
const ADMIN = asCaller(randomUUID(), 'admin');

describe('If-Match', () => {
  const asking = (ifMatch: string | undefined) =>
    ({ get: (name: string) => (name === 'if-match' ? ifMatch : undefined) }) as Request;

  it.each<[header: string | undefined, etag: string | undefined]>([
    [undefined, '"3"'],
    [undefined, undefined],
    ['*', '"3"'],
    [' * ', '"3"'],
    ['"3"', '"3"'],
    ['"1","3"', '"3"'],
    ['"1" , "3" ', '"3"'],
  ])('When it is %s and there is %s, then the change is allowed', (header, etag) => {
    expect(() => assertPreconditions(asking(header), etag)).not.toThrow();
  });

  it.each<[header: string, etag: string | undefined]>([
    ['"2"', '"3"'],
    ['"2", "4"', '"3"'],
    ['3', '"3"'],
    ['"33"', '"3"'],
    // If-Match uses strong comparison (RFC 9110, 8.8.3.2).
    ['W/"3"', '"3"'],
    ['', '"3"'],
    ['"3"', undefined],
    ['*', undefined],
  ])('When it is %s and there is %s, then the response is 412', (header, etag) => {
    expect(() => assertPreconditions(asking(header), etag)).toThrow(
      expect.objectContaining({ status: 412, slug: 'precondition-failed' }),
    );
    expect(() => assertPreconditions(asking(header), etag)).toThrow(ProblemError);
  });

  it.each<[header: string, etag: string | undefined, why: RegExp]>([
    ['"2"', '"3"', /has changed\. Fetch/],
    ['W/"3"', '"3"', /A compressing proxy changed/],
    ['"3-gzip"', '"3"', /A compressing proxy changed/],
    ['W/"3-br"', '"3"', /A compressing proxy changed/],
    ['"2", "3-gzip"', '"3"', /A compressing proxy changed/],
    ['"2-gzip"', '"3"', /has changed\. Fetch/],
    ['3', '"3"', /must be in quotes/],
    ['"3"', undefined, /does not exist/],
  ])('When it is %s and there is %s, then the 412 gives the reason', (header, etag, why) => {
    expect(() => assertPreconditions(asking(header), etag)).toThrow(
      expect.objectContaining({ status: 412, message: expect.stringMatching(why) as string }),
    );
  });

  it.each([
    ['"3-gzip"', '"3"'],
    ['W/"3-gzip", "4-br","5-zstd" , "6"', 'W/"3", "4","5" , "6"'],
    ['W/"3"', 'W/"3"'],
    ['"gzip-3"', '"gzip-3"'],
    ['*', '*'],
  ])('When If-None-Match is %s, then it means %s', (header, condition) => {
    expect(withoutCodings(header)).toBe(condition);
  });

  it('When a version becomes an entity tag, then the tag is a quoted string', () => {
    expect(versionTag(12)).toBe('"12"');
  });
});

describe('a product', () => {
  const catalogue = [
    {
      product_id: 'mug',
      name: 'Mug',
      unit_price: 1250,
      currency: 'EUR',
      on_hand: 10,
      low_stock_threshold: 1,
    },
  ];
  let service: ServiceUnderTest;
  beforeEach(async () => {
    service = await startService((deps) => inventoryApp({ ...deps, catalogue }));
    await vi.waitFor(() => service.http.get('/readyz').expect(200), { interval: 5 });
  });
  afterEach(() => service.stop());

  const get = (headers: Record<string, string> = {}) =>
    service.http.get('/api/inventory/mug').set({ ...CUSTOMER, ...headers });
  const put = (unit_price: number, ifMatch?: string, { id = 'mug', http = service.http } = {}) =>
    http
      .put(`/api/inventory/${id}`)
      .set({ ...ADMIN, ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }) })
      .send({ name: 'Mug', unit_price });
  const restock = () => service.http.post('/api/inventory/mug/restock').set(ADMIN).send({ quantity: 1 });
  const tag = async () => (await get()).headers['etag'] ?? '';
  const stored = (id = 'mug') => service.sidecar.documents.get(`product:${id}`)?.value;

  it('When it is new, then its tag is its first version', async () => {
    expect(await tag()).toBe('"1"');
    expect((await put(1, undefined, { id: 'pen' })).headers['etag']).toBe('"1"');
  });

  it('When its price or its stock changes, then so does its tag', async () => {
    const tags = [await tag()];
    await restock();
    tags.push(await tag());
    const answer = await put(1300);
    tags.push(await tag());
    expect(answer.headers['etag']).toBe(tags[2]);
    expect(new Set(tags).size).toBe(3);
  });

  it('When the caller has the current version, then the response is 304 without a body', async () => {
    const answer = await get({ 'if-none-match': await tag() });
    expect([answer.status, answer.text, answer.headers['etag']]).toEqual([304, '', '"1"']);
  });

  it('When a proxy has made the tag weak, then the response is still 304', async () => {
    expect((await get({ 'if-none-match': `W/${await tag()}` })).status).toBe(304);
  });

  it('When the caller has an older version, then the response has the product', async () => {
    const old = await tag();
    await restock();
    const answer = await get({ 'if-none-match': old });
    expect([answer.status, answer.body]).toMatchObject([200, { on_hand: 11 }]);
  });

  it('When it is unchanged since the caller read it, then the change succeeds', async () => {
    const answer = await put(1300, await tag());
    expect([answer.status, answer.body]).toMatchObject([200, { unit_price: 1300 }]);
  });

  it('When it has changed since the caller read it, then the response is 412 and nothing changes', async () => {
    const old = await tag();
    await restock();
    const before = stored();
    const answer = await put(1300, old);
    expect([answer.status, answer.headers['content-type']]).toEqual([
      412,
      'application/problem+json; charset=utf-8',
    ]);
    expect(stored()).toEqual(before);
  });

  it.each(['"1"', '*'])(
    'When it does not exist and If-Match is %s, then the response is 412 and nothing is created',
    async (tags) => {
      expect((await put(1300, tags, { id: 'pen' })).status).toBe(412);
      expect(stored('pen')).toBeUndefined();
    },
  );

  it('When it exists and If-None-Match is *, then the response is 412 and nothing changes', async () => {
    const before = stored();
    const answer = await service.http
      .put('/api/inventory/mug')
      .set({ ...ADMIN, 'if-none-match': '*' })
      .send({ name: 'Another', unit_price: 1 });
    expect(answer.status).toBe(412);
    expect(stored()).toEqual(before);
  });

  it('When ten requests change the same version at once, then one succeeds', async () => {
    const old = await tag();
    const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => put(2000 + n, old)));
    const [won, ...others] = answers.filter(({ status }) => status === 200);
    expect([won?.body, others]).toEqual([(await get()).body, []]);
    expect(answers.filter(({ status }) => status === 412)).toHaveLength(9);
  });

  it('When two replicas change the same version at once, then one succeeds', async () => {
    const old = await tag();
    const other = service.createReplica();
    const answers = await Promise.all([put(2000, old), put(2001, old, { http: other })]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 412]));
    expect((await get()).body).toEqual(answers.find(({ status }) => status === 200)?.body);
  });
});

describe('an order', () => {
  let service: ServiceUnderTest;
  beforeEach(async () => {
    service = await startService((deps) =>
      ordersApp({ ...deps, watchdogIntervalMs: 1_000, paymentDeadlineMs: 60_000, now: () => new Date() }),
    );
    const mug = { product_id: 'mug', name: 'Mug', unit_price: 1250, currency: 'EUR' };
    service.sidecar.answer('inventory', () => ({
      status: 200,
      body: { items: [{ ...mug, on_hand: 9, reserved: 0, available: 9 }] },
    }));
    service.sidecar.answer('fulfilment', () => ({ status: 200, body: { status: 'STOPPED' } }));
  });
  afterEach(() => service.stop());

  const get = (orderId: string, headers: Record<string, string> = {}) =>
    service.http.get(`/api/orders/${orderId}`).set({ ...CUSTOMER, ...headers });
  const put = (orderId: string, status: string, ifMatch: string) =>
    service.http
      .put(`/api/orders/${orderId}/status`)
      .set({ ...ADMIN, 'if-match': ifMatch })
      .send({ status });
  const pay = (orderId: string) =>
    service.deliver('payment.processed', { order_id: orderId, payment_id: randomUUID() });
  async function placed(): Promise<string> {
    const { body } = await service.http
      .post('/api/orders')
      .set(CUSTOMER)
      .send({ product_id: 'mug', quantity: 1 });
    return (body as { order_id: string }).order_id;
  }
  async function reserved(): Promise<string> {
    const orderId = await placed();
    await service.deliver('inventory.reserved', { order_id: orderId });
    return orderId;
  }

  it('When its status changes, then its tag is its version', async () => {
    const orderId = await placed();
    expect((await get(orderId)).headers['etag']).toBe('"1"');
    await service.deliver('inventory.reserved', { order_id: orderId });
    expect((await get(orderId)).headers['etag']).toBe('"2"');
  });

  it('When the caller has the current version, then the response is 304; after a change it is the order', async () => {
    const orderId = await placed();
    const same = await get(orderId, { 'if-none-match': '"1"' });
    await service.deliver('inventory.reserved', { order_id: orderId });
    const moved = await get(orderId, { 'if-none-match': '"1"' });
    expect([same.status, same.text, moved.status]).toEqual([304, '', 200]);
  });

  it("When the caller has the tag of another customer's order, then the response is 404", async () => {
    const orderId = await placed();
    expect((await get(orderId, { ...asCaller(randomUUID()), 'if-none-match': '"1"' })).status).toBe(404);
  });

  it.each(['SHIPPED', 'CANCELLED', 'PAID'])(
    'When it is set to %s and is unchanged since the caller read it, then it changes and has a new tag',
    async (status) => {
      const orderId = await reserved();
      await pay(orderId);
      const answer = await put(orderId, status, '"3"');
      expect([answer.status, answer.body]).toMatchObject([200, { status }]);
      expect(answer.headers['etag']).toBe((await get(orderId)).headers['etag']);
    },
  );

  it.each(['SHIPPED', 'CANCELLED', 'PAID'])(
    'When it is set to %s but has changed since the caller read it, then the response is 412',
    async (status) => {
      const orderId = await reserved();
      await pay(orderId);
      expect((await put(orderId, status, '"2"')).status).toBe(412);
      expect((await get(orderId)).body).toMatchObject({ status: 'PAID', version: 3 });
    },
  );

  it.each(['SHIPPED', 'CANCELLED'])(
    'When it changes just before %s is decided, then the response is 412',
    async (status) => {
      const orderId = await reserved();
      let reads = 0;
      service.sidecar.onStateCall(async ({ op, keys }) => {
        if (op === 'write' || !keys.includes(`order:${orderId}`)) return;
        reads += 1;
        // The first read checks that the order exists. The second one is the basis of the decision.
        if (reads === 2) await payAtOtherReplica(orderId);
      });
      expect((await put(orderId, status, '"2"')).status).toBe(412);
      expect((await get(orderId)).body).toMatchObject({ status: 'PAID', version: 3 });
    },
  );

  it('When two requests change the same version at once, then one succeeds', async () => {
    const orderId = await reserved();
    await pay(orderId);
    const answers = await Promise.all([put(orderId, 'SHIPPED', '"3"'), put(orderId, 'CANCELLED', '"3"')]);
    const won = answers.filter(({ status }) => status === 200);
    expect(won).toHaveLength(1);
    expect((await get(orderId)).body).toEqual(won[0]?.body);
  });

  /** Pays at another replica, which shares no reads with the first. */
  async function payAtOtherReplica(orderId: string): Promise<void> {
    const data = { order_id: orderId, payment_id: randomUUID() };
    await service
      .createReplica()
      .post('/events/payment.processed')
      .set('content-type', 'application/cloudevents+json')
      .send(JSON.stringify(buildEvent('payment.processed', data)));
  }
});
