import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../services/history/app.ts';
import type { CustomerTotals, Rebuild } from '../../services/history/contract.ts';
import { OPEN_KEYS, openKeyOf } from '../../services/history/domain/open-orders.ts';
import { FINAL_STATUSES, type Order, type OrderStatus } from '../../services/orders/contract.ts';
import { buildEvent } from '../support/events.ts';
import { asCaller, slugOf, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const ADA = randomUUID();
const BOB = randomUUID();
const admin = asCaller(randomUUID(), 'admin');
const STARTED = '2026-01-01T00:00:00.000Z';

let clock: Date;
let service: ServiceUnderTest;
/** The `orders` service: the stream of every order, and the list of final orders. */
let streams: Map<string, Order>;
let finished: string[];
/** Runs before each of its responses. */
let onOrdersCall: (query: URLSearchParams) => void | Promise<void>;

beforeEach(async () => {
  clock = new Date(STARTED);
  streams = new Map();
  finished = [];
  onOrdersCall = () => {};
  service = await startService((deps) => createApp({ ...deps, now: () => clock }));
  service.sidecar.answer('orders', async ({ path }) => {
    const query = new URL(path, 'http://orders').searchParams;
    await onOrdersCall(query);
    const ids = query.get('ids')?.split(',');
    const [start, limit] = [Number(query.get('cursor') ?? 0), Number(query.get('limit') ?? 100)];
    const items = (ids ?? finished.slice(start, start + limit)).flatMap((id) => streams.get(id) ?? []);
    const next_cursor = !ids && start + limit < finished.length ? String(start + limit) : null;
    return { status: 200, body: { items, next_cursor } };
  });
});
afterEach(() => {
  vi.useRealTimers();
  return service.stop();
});

/** Changes an order in `orders` without publishing the event. */
function changeOrder(more: Partial<Order> = {}): Order {
  const order: Order = {
    order_id: randomUUID(),
    customer_id: ADA,
    status: 'DELIVERED',
    items: [{ product_id: 'mug', name: 'Mug', quantity: 1, unit_price: 1200 }],
    total: 1200,
    currency: 'EUR',
    version: 5,
    created_at: STARTED,
    updated_at: STARTED,
    ...more,
  };
  streams.set(order.order_id, order);
  if (FINAL_STATUSES.has(order.status)) finished.push(order.order_id);
  return order;
}
const publishOrder = async (order: Order) =>
  expect(await service.deliver('order.created', { order })).toBe('SUCCESS');
/** Changes an order in `orders` and publishes the event. */
async function changeAndPublish(more: Partial<Order> = {}): Promise<Order> {
  const order = changeOrder(more);
  await publishOrder(order);
  return order;
}

const path = '/api/admin/history/rebuild';
const start = (headers: Record<string, string> = {}) =>
  service.http
    .post(path)
    .set({ ...admin, ...headers })
    .send({});
const state = async () => (await service.http.get(path).set(admin)).body as Rebuild;
const tick = () => service.triggerJob('rebuild-history');

async function rebuilt(): Promise<void> {
  expect((await start()).status).toBe(202);
  expect(await tick()).toBe(200);
  expect(await state()).toMatchObject({ status: 'done' });
}

const documents = () => service.sidecar.documents;
/** Replaces a document of the service, as a defect would. */
const corrupt = (key: string, value: unknown) => void documents().set(key, { value, etag: `spoilt-${key}` });

async function listed(customer?: string): Promise<Order[]> {
  const query = customer ? `&customer_id=${customer}` : '';
  const response = await service.http.get(`/api/orders?limit=100${query}`).set(admin);
  return (response.body as { items: Order[] }).items;
}
async function totalsOf(customer: string): Promise<CustomerTotals> {
  return (await service.http.get(`/api/customers/${customer}/totals`).set(admin)).body as CustomerTotals;
}
/** The ids in all sets of open orders. */
const openIds = () =>
  OPEN_KEYS.flatMap((key) => documents().get(key)?.value)
    .filter((id) => typeof id === 'string')
    .toSorted((a, b) => a.localeCompare(b));

/** The expected totals of a customer, by another algorithm than that of the service. */
function expectedTotals(customer: string): CustomerTotals {
  const own = [...streams.values()].filter(({ customer_id }) => customer_id === customer);
  const of = (statuses: OrderStatus[]) => own.filter(({ status }) => statuses.includes(status));
  const spent = of(['PAID', 'SHIPPED', 'DELIVERED']).reduce(
    (sum, { total, refunded = 0 }) => sum + total - refunded,
    0,
  );
  return {
    customer_id: customer,
    orders: own.length,
    by_status: Object.fromEntries(own.map(({ status }) => [status, of([status]).length])),
    spent: spent > 0 ? { EUR: spent } : {},
  };
}

interface Model {
  orders: Order[];
  byCustomer: Record<string, { orders: Order[]; totals: CustomerTotals }>;
  open: string[];
}
const byId = (orders: Order[]) => orders.toSorted((a, b) => a.order_id.localeCompare(b.order_id));
const customers = () => new Set([...streams.values()].map(({ customer_id }) => customer_id));

/** The orders and totals that `history` serves. */
async function model(): Promise<Model> {
  const byCustomer: Model['byCustomer'] = {};
  for (const customer of customers())
    byCustomer[customer] = { orders: byId(await listed(customer)), totals: await totalsOf(customer) };
  return { orders: byId(await listed()), byCustomer, open: openIds() };
}

/** The expected orders and totals, from the streams alone. */
function streamed(): Model {
  const orders = byId([...streams.values()]);
  const byCustomer: Model['byCustomer'] = {};
  for (const customer of customers()) {
    const own = orders.filter(({ customer_id }) => customer_id === customer);
    byCustomer[customer] = { orders: own, totals: expectedTotals(customer) };
  }
  const open = orders.filter(({ status }) => !FINAL_STATUSES.has(status));
  return { orders, byCustomer, open: open.map(({ order_id }) => order_id) };
}

/** Delivers an order at another replica, because this one may wait for the present call. */
async function publishAtOtherReplica(order: Order): Promise<void> {
  const event = buildEvent('order.created', { order });
  const { body } = await service.createReplica().post('/events/order.created').send(event);
  expect(body).toEqual({ status: 'SUCCESS' });
}

/** Runs `act` once, before the first matching call to the state store. */
function before(op: 'read' | 'write', key: string, act: () => Promise<void>): () => boolean {
  let hasRun = false;
  service.sidecar.onStateCall(async (call) => {
    if (hasRun || call.op !== op || !call.keys.includes(key)) return;
    hasRun = true;
    await act();
  });
  return () => hasRun;
}

describe('/api/admin/history/rebuild', () => {
  it('When none was started, then the response says so', async () => {
    expect(await state()).toEqual({ status: 'none', orders: 0 });
  });

  it('When one is started, then it is running and its job is scheduled', async () => {
    const response = await start();
    expect([response.status, response.body]).toEqual([
      202,
      { status: 'running', started_at: STARTED, orders: 0 },
    ]);
    expect(await state()).toEqual(response.body);
    expect(service.sidecar.jobs.get('rebuild-history')).toMatchObject({ schedule: '@every 5s' });
  });

  it('When it ends, then it is done and its job is deleted', async () => {
    for (let count = 0; count < 3; count++) await changeAndPublish();
    await changeAndPublish({ status: 'PAID', version: 3 });
    await start();
    clock = new Date(Date.parse(STARTED) + 2_000);
    expect(await tick()).toBe(200);
    expect(await state()).toEqual({
      status: 'done',
      started_at: STARTED,
      finished_at: '2026-01-01T00:00:02.000Z',
      orders: 4,
    });
    expect(service.sidecar.jobs.has('rebuild-history')).toBe(false);
    expect(await model()).toEqual(streamed());
    expect((await service.http.get('/metrics')).text).toMatch(/^history_rebuild_orders_total [1-9]/m);
  });

  it('When one is running, then a second start joins it and schedules its job again', async () => {
    const first = await start();
    service.sidecar.jobs.clear();
    clock = new Date(Date.parse(STARTED) + 1_000);
    const second = await start();
    expect([second.status, second.body]).toEqual([202, first.body]);
    expect(service.sidecar.jobs.has('rebuild-history')).toBe(true);
  });

  it('When two replicas start one at once, then there is one', async () => {
    const other = service.createReplica();
    const answers = await Promise.all([start(), other.post(path).set(admin).send({})]);
    expect(answers.map(({ status }) => status)).toEqual([202, 202]);
    const joined = service.logs.filter((line) => line['audit']).map((line) => line['joined']);
    expect([joined.length, joined.filter(Boolean).length]).toEqual([2, 1]);
  });

  it('When one is done, then the next one starts from the beginning', async () => {
    await changeAndPublish();
    await rebuilt();
    clock = new Date(Date.parse(STARTED) + 1_000);
    const { body } = await start();
    expect(body).toEqual({ status: 'running', started_at: clock.toISOString(), orders: 0 });
    corrupt(`totals:${ADA}`, { customer_id: ADA, orders: 7, by_status: {}, spent: {} });
    await tick();
    expect(await model()).toEqual(streamed());
  });

  it('When it is started twice with one key, then the first response is replayed', async () => {
    const key = { 'idempotency-key': 'rebuild-1' };
    const first = await start(key);
    await tick();
    const second = await start(key);
    expect([second.status, second.body]).toEqual([202, first.body]);
    expect(second.headers['idempotent-replayed']).toBe('true');
    expect(await state()).toMatchObject({ status: 'done' });
  });

  it('When it is started, then an audit line has the caller', async () => {
    await start();
    expect(service.logs.filter((line) => line['audit'])).toMatchObject([
      { audit: 'rebuild', caller_id: admin['x-caller-id'], joined: false },
    ]);
  });

  it('When the caller is not an administrator, then 403 and nothing starts', async () => {
    expect((await service.http.post(path).set(asCaller(ADA)).send({})).status).toBe(403);
    expect((await service.http.get(path).set(asCaller(ADA))).status).toBe(403);
    expect((await service.http.get(path)).status).toBe(401);
    expect(documents().size + service.sidecar.jobs.size).toBe(0);
  });

  it('When the request has a body, then 422', async () => {
    const response = await service.http.post(path).set(admin).send({ since: 'yesterday' });
    expect([response.status, slugOf(response)]).toEqual([422, 'invalid-input']);
  });

  it('When the scheduler is unavailable, then 503, and a retry starts it', async () => {
    service.sidecar.fail('schedule');
    expect((await start()).status).toBe(503);
    expect((await start()).status).toBe(202);
    expect(service.sidecar.jobs.has('rebuild-history')).toBe(true);
  });

  it('When a job runs without a rebuild, then the job ends', async () => {
    service.sidecar.jobs.set('rebuild-history', { dueTime: '1s' });
    expect(await tick()).toBe(200);
    expect(service.sidecar.jobs.has('rebuild-history')).toBe(false);
  });
});

describe('what a rebuild corrects', () => {
  it.each<[string, (order: Order) => void]>([
    [
      'an order',
      ({ order_id }) => corrupt(`order:${order_id}`, { ...streams.get(order_id), total: 1, currency: 'USD' }),
    ],
    [
      'the status of an order',
      ({ order_id }) => corrupt(`order:${order_id}`, { ...streams.get(order_id), status: 'CANCELLED' }),
    ],
    ['an order so that it is none', ({ order_id }) => corrupt(`order:${order_id}`, 'nonsense')],
    ['an order so that it is empty', ({ order_id }) => corrupt(`order:${order_id}`, {})],
    [
      'an order that is behind',
      ({ order_id }) =>
        corrupt(`order:${order_id}`, { ...streams.get(order_id), version: 2, status: 'PENDING' }),
    ],
    [
      'the totals',
      ({ customer_id }) =>
        corrupt(`totals:${customer_id}`, {
          customer_id,
          orders: -3,
          by_status: { PAID: 9 },
          spent: { USD: 1 },
        }),
    ],
    [
      'the totals so that there are none',
      ({ customer_id }) => void documents().delete(`totals:${customer_id}`),
    ],
    [
      'the totals so that they are nonsense',
      ({ customer_id }) => corrupt(`totals:${customer_id}`, 'nonsense'),
    ],
    [
      'the set of open orders',
      ({ order_id }) =>
        corrupt(openKeyOf(order_id), streams.get(order_id)?.status === 'PAID' ? [] : [order_id]),
    ],
    ['the set of open orders so that it is nonsense', ({ order_id }) => corrupt(openKeyOf(order_id), 7)],
  ])('When %s was wrong, then it is as in the stream, final or not', async (_what, corrupted) => {
    for (const status of ['DELIVERED', 'PAID', 'REJECTED'] as const)
      await changeAndPublish({ status, version: 3 });
    const [final, open] = [
      await changeAndPublish({ customer_id: BOB }),
      await changeAndPublish({ status: 'PAID', version: 3 }),
    ];
    await changeAndPublish({ customer_id: BOB, status: 'SHIPPED', version: 4 });
    corrupted(final);
    corrupted(open);
    await rebuilt();
    expect(await model()).toEqual(streamed());
  });

  it('When history knows a newer version than the stream page, then it stays', async () => {
    const order = await changeAndPublish({ status: 'PAID', version: 3 });
    const shipped: Order = { ...order, status: 'SHIPPED', version: 4 };
    onOrdersCall = async (query) => {
      // The response is built before the order changes and sent afterwards.
      if (!query.has('ids')) return;
      await publishOrder(shipped);
    };
    await rebuilt();
    streams.set(order.order_id, shipped);
    expect(await model()).toEqual(streamed());
  });

  it('When everything was right, then only the totals are written', async () => {
    await changeAndPublish();
    await changeAndPublish({ status: 'PAID', version: 3 });
    await start();
    const written: string[] = [];
    service.sidecar.onStateCall(({ op, keys }) => void (op === 'write' && written.push(...keys)));
    await tick();
    expect(new Set(written)).toEqual(new Set(['rebuild', `totals:${ADA}`]));
  });

  it('When the database was wiped, then final orders return in order, and the rest with their next events', async () => {
    for (let count = 0; count < 250; count++) changeOrder({ customer_id: count % 3 ? ADA : BOB });
    const open = changeOrder({ status: 'PAID', version: 3 });
    await rebuilt();
    await publishOrder(open);
    expect(await state()).toMatchObject({ orders: 250 });
    const ids = [...streams.keys()].toReversed();
    const seen: string[] = [];
    let cursor = '';
    do {
      const response = await service.http
        .get(`/api/orders?limit=100${cursor && `&cursor=${cursor}`}`)
        .set(admin);
      const { items, next_cursor } = response.body as { items: Order[]; next_cursor: string | null };
      seen.push(...items.map(({ order_id }) => order_id));
      cursor = next_cursor ?? '';
    } while (cursor !== '');
    expect(seen).toEqual(ids);
    for (const customer of [ADA, BOB]) expect(await totalsOf(customer)).toEqual(expectedTotals(customer));
    expect(openIds()).toEqual([open.order_id]);
  });

  it('When an order was refunded, then its rebuilt totals exclude the refunded money', async () => {
    const order = changeOrder({ status: 'DELIVERED', version: 6, refunded: 200 });
    finished.push(order.order_id);
    await rebuilt();
    expect(await totalsOf(order.customer_id)).toEqual(expectedTotals(order.customer_id));
  });

  it('When orders lists an order twice, then history lists it once', async () => {
    const order = changeOrder();
    finished.push(order.order_id);
    await rebuilt();
    expect(await model()).toEqual(streamed());
  });

  it('When a customer has orders on many pages, then all are counted once', async () => {
    for (let count = 0; count < 230; count++) changeOrder({ status: count % 2 ? 'DELIVERED' : 'EXPIRED' });
    await rebuilt();
    corrupt(`totals:${ADA}`, { customer_id: ADA, orders: 1, by_status: {}, spent: {} });
    await rebuilt();
    expect(await totalsOf(ADA)).toEqual(expectedTotals(ADA));
  });

  it('When totals are read during a recount, then they do not show it', async () => {
    await changeAndPublish();
    await rebuilt();
    expect(Object.keys(await totalsOf(ADA)).toSorted()).toEqual([
      'by_status',
      'customer_id',
      'orders',
      'spent',
    ]);
  });
});

describe('changes during a rebuild', () => {
  const wrong = () =>
    corrupt(`totals:${ADA}`, { customer_id: ADA, orders: 50, by_status: { PAID: 50 }, spent: {} });

  it.each<['read' | 'write', string, string]>([
    ['read', 'before the totals are read', 'totals'],
    ['write', 'before it is marked that they are counted', 'totals'],
    ['read', 'before the list is read', 'index'],
    ['read', 'before the orders of the list are read', 'order'],
  ])(
    'When (at a %s) an order changes and a new one comes %s, then both are counted',
    async (op, _when, kind) => {
      const order = await changeAndPublish({ status: 'PAID', version: 3 });
      await changeAndPublish({ status: 'PAID', version: 3 });
      wrong();
      await start();
      let counting = false;
      const key = {
        totals: `totals:${ADA}`,
        index: `index:customer:${ADA}`,
        order: `order:${order.order_id}`,
      }[kind]!;
      let hasRun = false;
      service.sidecar.onStateCall(async (call) => {
        counting ||= call.op === 'read' && call.keys.length === 1 && call.keys[0] === `totals:${ADA}`;
        if (!counting || hasRun || call.op !== op || !call.keys.includes(key)) return;
        hasRun = true;
        await publishAtOtherReplica(changeOrder({ ...order, status: 'DELIVERED', version: 5 }));
        await publishAtOtherReplica(changeOrder({ status: 'PENDING', version: 1 }));
      });
      await tick();
      expect(hasRun).toBe(true);
      expect(await model()).toEqual(streamed());
    },
  );

  it('When an order changes between reading the orders and writing the totals, then its new state is counted', async () => {
    const order = await changeAndPublish({ status: 'PAID', version: 3 });
    wrong();
    await start();
    const moves: Order[] = [
      { ...order, status: 'SHIPPED', version: 4 },
      { ...order, status: 'DELIVERED', version: 5 },
    ];
    let reads = 0;
    service.sidecar.onStateCall(async ({ op, keys }) => {
      // The second separate read of the totals ends the recount. The first write comes after that.
      if (op !== 'read' || keys.length !== 1 || keys[0] !== `totals:${ADA}`) return;
      reads += 1;
      if (reads !== 2) return;
      await publishAtOtherReplica(moves[0]!);
      await publishAtOtherReplica(changeOrder({ status: 'CANCELLED', version: 2 }));
      before('write', `totals:${ADA}`, () => publishAtOtherReplica(changeOrder(moves[1])));
    });
    await tick();
    expect(await state()).toMatchObject({ status: 'done' });
    expect(await model()).toEqual(streamed());
  });

  it('When an order becomes final between reading and writing its replay, then it is not open', async () => {
    const order = await changeAndPublish({ status: 'PAID', version: 3 });
    corrupt(openKeyOf(order.order_id), []);
    await start();
    const hasRun = before('write', openKeyOf(order.order_id), () =>
      publishAtOtherReplica(changeOrder({ ...order, status: 'DELIVERED', version: 5 })),
    );
    await tick();
    expect(hasRun()).toBe(true);
    expect(await model()).toEqual(streamed());
  });

  it('When orders change at two replicas meanwhile, then the read model equals the streams', async () => {
    const statuses: OrderStatus[] = ['PENDING', 'RESERVED', 'PAID', 'SHIPPED', 'DELIVERED'];
    for (let count = 0; count < 60; count++) changeOrder({ customer_id: count % 2 ? ADA : BOB });
    for (let count = 0; count < 20; count++) await changeAndPublish({ customer_id: count % 2 ? ADA : BOB });
    wrong();
    await start();
    const replicas = [service.http, service.createReplica()];
    const moving = Array.from({ length: 12 }, async (_, n) => {
      let order = changeOrder({ customer_id: n % 2 ? ADA : BOB, status: 'PENDING', version: 1 });
      for (const [at, status] of statuses.entries()) {
        order = { ...order, status, version: at + 1 };
        streams.set(order.order_id, order);
        if (FINAL_STATUSES.has(status)) finished.push(order.order_id);
        for (let answer = ''; answer !== 'SUCCESS';) {
          const event = buildEvent('order.created', { order });
          const response = await replicas[n % 2]!.post('/events/order.created').send(event);
          answer = (response.body as { status: string }).status;
        }
      }
    });
    const ticks = replicas.map((http) => http.post('/job/rebuild-history').send({}));
    await Promise.all([...moving, ...ticks]);
    while ((await state()).status === 'running') expect(await tick()).toBe(200);
    expect(await model()).toEqual(streamed());
  });
});

describe('an interrupted rebuild', () => {
  it('When the time of one tick is over, then the next one continues there', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    for (let count = 0; count < 250; count++) changeOrder();
    await start();
    const cursors: (string | null)[] = [];
    onOrdersCall = (query) => {
      if (!query.has('ids')) cursors.push(query.get('cursor'));
      vi.advanceTimersByTime(4_000);
    };
    expect(await tick()).toBe(200);
    expect([cursors, await state()]).toMatchObject([[null], { status: 'running', orders: 100 }]);
    expect(service.sidecar.jobs.has('rebuild-history')).toBe(true);
    for (let count = 0; count < 6; count++) await tick();
    expect(cursors).toEqual([null, '100', '200']);
    expect(await state()).toMatchObject({ status: 'done', orders: 250 });
    expect(await totalsOf(ADA)).toEqual(expectedTotals(ADA));
  });

  it.each([0, 1, 2, 3, 5, 8, 13, 21])(
    'When it crashes at write %d, then another replica completes it',
    async (number) => {
      for (let count = 0; count < 120; count++) changeOrder({ customer_id: count % 2 ? ADA : BOB });
      await changeAndPublish({ status: 'PAID', version: 3 });
      corrupt(`totals:${ADA}`, { customer_id: ADA, orders: 9, by_status: {}, spent: {} });
      await start();
      let writes = 0;
      service.sidecar.onStateCall(({ op }) => {
        if (op === 'write' && writes++ >= number) throw new Error('crashed');
      });
      await tick();
      service.sidecar.onStateCall(() => {});
      expect((await service.createReplica().post('/job/rebuild-history').send({})).status).toBe(200);
      expect(await state()).toMatchObject({ status: 'done' });
      for (const customer of [ADA, BOB]) expect(await totalsOf(customer)).toEqual(expectedTotals(customer));
      expect(openIds()).toHaveLength(1);
    },
  );

  it('When it crashed during the recount, then later changes are counted', async () => {
    const order = await changeAndPublish({ status: 'PAID', version: 3 });
    await start();
    service.sidecar.onStateCall(({ op, keys }) => {
      // The mark is set, and reading the list fails.
      if (op === 'read' && keys[0] === `index:customer:${ADA}`) throw new Error('crashed');
    });
    expect(await tick()).toBe(503);
    service.sidecar.onStateCall(() => {});
    await publishOrder(changeOrder({ ...order, status: 'DELIVERED', version: 5 }));
    await changeAndPublish({ status: 'PENDING', version: 1 });
    await tick();
    expect(await model()).toEqual(streamed());
  });

  it('When orders is unavailable, then the tick fails and the job remains', async () => {
    changeOrder();
    await start();
    service.sidecar.fail('invoke');
    expect(await tick()).toBe(503);
    expect(await state()).toMatchObject({ status: 'running' });
    expect(service.sidecar.jobs.has('rebuild-history')).toBe(true);
    await tick();
    expect(await model()).toEqual(streamed());
  });

  it('When two replicas get the tick, then one stops, and the result is the same', async () => {
    for (let count = 0; count < 150; count++) changeOrder({ customer_id: count % 2 ? ADA : BOB });
    await start();
    const other = service.createReplica();
    const answers = await Promise.all([
      service.http.post('/job/rebuild-history').send({}),
      other.post('/job/rebuild-history').send({}),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    while ((await state()).status === 'running') expect(await tick()).toBe(200);
    for (const customer of [ADA, BOB]) expect(await totalsOf(customer)).toEqual(expectedTotals(customer));
    expect(await state()).toMatchObject({ orders: 150 });
  });

  it('When the next rebuild starts while the previous job is being deleted, then it has a job', async () => {
    await start();
    await tick();
    let starting = false;
    service.sidecar.onStateCall(async ({ op, keys }) => {
      // The tick after the last one reads the rebuild twice: before and after deleting the job.
      if (starting || op !== 'read' || keys[0] !== 'rebuild') return;
      starting = true;
      service.sidecar.onStateCall(async () => {
        service.sidecar.onStateCall(() => {});
        expect((await service.createReplica().post(path).set(admin).send({})).status).toBe(202);
        service.sidecar.jobs.clear();
      });
    });
    await tick();
    expect(await state()).toMatchObject({ status: 'running' });
    expect(service.sidecar.jobs.has('rebuild-history')).toBe(true);
  });
});
