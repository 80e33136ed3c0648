import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../services/orders/app.ts';
import { createChangeFeed } from '../../services/orders/change-feed.ts';
import { ordersChangedData } from '../../services/orders/contract.ts';
import type { CloudEvent } from '../../services/shared/dapr/cloud-event.ts';
import { createLogger } from '../../services/shared/telemetry/logger.ts';
import { asCaller, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const changedIn = ({ data }: CloudEvent) => ordersChangedData.parse(data).changed;

describe('what changes within 200 ms', () => {
  let told: CloudEvent[];
  let changed: (orderId: string, version: number) => void;
  const [ONE, OTHER] = [randomUUID(), randomUUID()];

  beforeEach(() => {
    vi.useFakeTimers();
    told = [];
    changed = createChangeFeed({
      sidecar: {
        publish: () => Promise.reject(new Error('must be broadcast')),
        broadcast: (event) => Promise.resolve(void told.push(event)),
      },
      log: createLogger('test', 'silent'),
      now: () => new Date('2026-01-01T00:00:00.000Z'),
    });
  });
  afterEach(() => void vi.useRealTimers());

  it('When many orders change, then one broadcast tells the newest version of each', () => {
    changed(ONE, 1);
    changed(OTHER, 1);
    vi.advanceTimersByTime(160);
    changed(ONE, 2);
    changed(OTHER, 2);
    changed(OTHER, 3);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(40);
    expect(told.map(changedIn)).toEqual([
      [
        { order_id: ONE, version: 2 },
        { order_id: OTHER, version: 3 },
      ],
    ]);
    expect(told[0]).toMatchObject({
      type: 'orders.changed',
      source: 'orders',
      time: '2026-01-01T00:00:00.000Z',
    });
  });

  it('When an older version is said again, then the newer one is told', () => {
    changed(ONE, 3);
    changed(ONE, 2);
    vi.advanceTimersByTime(200);
    expect(told.flatMap(changedIn)).toEqual([{ order_id: ONE, version: 3 }]);
  });

  it('When nothing changes, then nothing is told', () => {
    vi.advanceTimersByTime(10_000);
    expect(told).toEqual([]);
    changed(ONE, 1);
    vi.advanceTimersByTime(10_000);
    expect(told).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('When something changes after that, then it is told in a broadcast of its own', () => {
    changed(ONE, 1);
    vi.advanceTimersByTime(200);
    changed(ONE, 2);
    vi.advanceTimersByTime(200);
    expect(told.map(changedIn)).toEqual([[{ order_id: ONE, version: 1 }], [{ order_id: ONE, version: 2 }]]);
    expect(new Set(told.map(({ id }) => id)).size).toBe(2);
  });

  it('When more orders change than a message holds, then the rest follows', () => {
    const ids = Array.from({ length: 2_500 }, () => randomUUID());
    for (const id of ids) changed(id, 1);
    vi.advanceTimersByTime(1_000);
    expect(told.map((event) => changedIn(event).length)).toEqual([1_000, 1_000, 500]);
    expect(told.flatMap(changedIn).map(({ order_id }) => order_id)).toEqual(ids);
  });
});

describe('the orders service', () => {
  const CUSTOMER = randomUUID();
  let service: ServiceUnderTest;
  /** Milliseconds by which the service's clock is ahead. */
  let ahead: number;
  beforeEach(async () => {
    ahead = 0;
    service = await startService((deps) =>
      createApp({
        ...deps,
        watchdogIntervalMs: 1_000,
        paymentDeadlineMs: 60_000,
        now: () => new Date(Date.now() + ahead),
      }),
    );
    const mug = { product_id: 'mug', name: 'Mug', unit_price: 1250, currency: 'EUR' };
    service.sidecar.answer('inventory', () => ({
      status: 200,
      body: { items: [{ ...mug, on_hand: 9, reserved: 0, available: 9 }] },
    }));
  });
  afterEach(() => service.stop());

  const told = () => service.sidecar.broadcasts.flatMap(changedIn);
  const untilTold = (order_id: string, version: number) =>
    vi.waitFor(() => expect(told()).toContainEqual({ order_id, version }), { timeout: 2_000, interval: 10 });
  async function placed(quantity = 1): Promise<string> {
    const answer = await service.http
      .post('/api/orders')
      .set(asCaller(CUSTOMER))
      .send({ product_id: 'mug', quantity });
    expect(answer.status).toBe(201);
    return (answer.body as { order_id: string }).order_id;
  }
  const pay = async (order_id: string) => {
    await service.deliver('inventory.reserved', { order_id });
    return service.deliver('payment.processed', { order_id, payment_id: randomUUID() });
  };

  it('When orders move, then their newest versions are broadcast, beside what the broker is told', async () => {
    const orderIds = [await placed(), await placed()];
    for (const orderId of orderIds) await pay(orderId);
    for (const orderId of orderIds) await untilTold(orderId, 3);
    expect(service.sidecar.published.map(({ type }) => type)).not.toContain('orders.changed');
    expect(service.publishedEvents('order.paid')).toHaveLength(2);
  });

  it('When an order is only read, or refused, then nothing is broadcast of it', async () => {
    const refused = randomUUID();
    await service.http.get(`/api/orders/${refused}`).set(asCaller(CUSTOMER));
    await service.deliver('inventory.reserved', { order_id: refused });
    await service.http.post('/api/orders').set(asCaller(CUSTOMER)).send({ product_id: 'mug', quantity: 0 });
    const orderId = await placed();
    await untilTold(orderId, 1);
    expect(told()).toEqual([{ order_id: orderId, version: 1 }]);
  });

  it('When the job says an order again, then so does a broadcast', async () => {
    const orderId = await placed();
    await untilTold(orderId, 1);
    // An order that has just moved is not said again.
    ahead = 6_000;
    await service.http.post(`/job/order-${orderId}`).send({ watched_ms: '1000' });
    await vi.waitFor(() => expect(told()).toHaveLength(2), { timeout: 2_000, interval: 10 });
    expect(told()[1]).toEqual({ order_id: orderId, version: 1 });
  });

  it('When the broadcast fails, then orders go on, nobody is alarmed, and the next one is told', async () => {
    service.sidecar.fail('broadcast');
    const orderId = await placed();
    const failures = () =>
      service.logs.filter(({ msg }) => String(msg).includes('broadcasting order changes failed'));
    await vi.waitFor(() => expect(failures()).toHaveLength(1), { timeout: 2_000, interval: 10 });
    expect(await pay(orderId)).toBe('SUCCESS');
    await untilTold(orderId, 3);
    expect(service.logs.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  });
});
