import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../services/orders/app.ts';
import { createChangeFeed } from '../../services/orders/change-feed.ts';
import { ordersChangedData } from '../../services/orders/contract.ts';
import type { CloudEvent } from '../../services/shared/dapr/cloud-event.ts';
import { createLogger } from '../../services/shared/telemetry/logger.ts';
import { asCaller, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const changedIn = ({ data }: CloudEvent) => ordersChangedData.parse(data).changed;

describe('changes within 200 ms', () => {
  let broadcasts: CloudEvent[];
  let changed: (orderId: string, version: number) => void;
  const [FIRST_ORDER, OTHER_ORDER] = [randomUUID(), randomUUID()];

  beforeEach(() => {
    vi.useFakeTimers();
    broadcasts = [];
    changed = createChangeFeed({
      sidecar: {
        publish: () => Promise.reject(new Error('must be broadcast')),
        broadcast: (event) => Promise.resolve(void broadcasts.push(event)),
      },
      log: createLogger('test', 'silent'),
      now: () => new Date('2026-01-01T00:00:00.000Z'),
    });
  });
  afterEach(() => void vi.useRealTimers());

  it('When many orders change, then one broadcast has the newest version of each', () => {
    changed(FIRST_ORDER, 1);
    changed(OTHER_ORDER, 1);
    vi.advanceTimersByTime(160);
    changed(FIRST_ORDER, 2);
    changed(OTHER_ORDER, 2);
    changed(OTHER_ORDER, 3);
    expect(broadcasts).toEqual([]);
    vi.advanceTimersByTime(40);
    expect(broadcasts.map(changedIn)).toEqual([
      [
        { order_id: FIRST_ORDER, version: 2 },
        { order_id: OTHER_ORDER, version: 3 },
      ],
    ]);
    expect(broadcasts[0]).toMatchObject({
      type: 'orders.changed',
      source: 'orders',
      time: '2026-01-01T00:00:00.000Z',
    });
  });

  it('When an older version is published again, then the broadcast has the newer one', () => {
    changed(FIRST_ORDER, 3);
    changed(FIRST_ORDER, 2);
    vi.advanceTimersByTime(200);
    expect(broadcasts.flatMap(changedIn)).toEqual([{ order_id: FIRST_ORDER, version: 3 }]);
  });

  it('When nothing changes, then nothing is broadcast', () => {
    vi.advanceTimersByTime(10_000);
    expect(broadcasts).toEqual([]);
    changed(FIRST_ORDER, 1);
    vi.advanceTimersByTime(10_000);
    expect(broadcasts).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('When an order changes after the broadcast, then a second broadcast follows', () => {
    changed(FIRST_ORDER, 1);
    vi.advanceTimersByTime(200);
    changed(FIRST_ORDER, 2);
    vi.advanceTimersByTime(200);
    expect(broadcasts.map(changedIn)).toEqual([
      [{ order_id: FIRST_ORDER, version: 1 }],
      [{ order_id: FIRST_ORDER, version: 2 }],
    ]);
    expect(new Set(broadcasts.map(({ id }) => id)).size).toBe(2);
  });

  it('When more orders change than a message holds, then the rest follows in the next message', () => {
    const ids = Array.from({ length: 2_500 }, () => randomUUID());
    for (const id of ids) changed(id, 1);
    vi.advanceTimersByTime(1_000);
    expect(broadcasts.map((event) => changedIn(event).length)).toEqual([1_000, 1_000, 500]);
    expect(broadcasts.flatMap(changedIn).map(({ order_id }) => order_id)).toEqual(ids);
  });
});

describe('the orders service', () => {
  const CUSTOMER = randomUUID();
  let service: ServiceUnderTest;
  /** By how many milliseconds the clock of the service is fast. */
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

  const broadcasts = () => service.sidecar.broadcasts.flatMap(changedIn);
  const waitForBroadcast = (order_id: string, version: number) =>
    vi.waitFor(() => expect(broadcasts()).toContainEqual({ order_id, version }), {
      timeout: 2_000,
      interval: 10,
    });
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

  it('When orders change, then their newest versions are broadcast and their events are published', async () => {
    const orderIds = [await placed(), await placed()];
    for (const orderId of orderIds) await pay(orderId);
    for (const orderId of orderIds) await waitForBroadcast(orderId, 3);
    expect(service.sidecar.published.map(({ type }) => type)).not.toContain('orders.changed');
    expect(service.publishedEvents('order.paid')).toHaveLength(2);
  });

  it('When an order is only read, or rejected, then nothing is broadcast', async () => {
    const rejected = randomUUID();
    await service.http.get(`/api/orders/${rejected}`).set(asCaller(CUSTOMER));
    await service.deliver('inventory.reserved', { order_id: rejected });
    await service.http.post('/api/orders').set(asCaller(CUSTOMER)).send({ product_id: 'mug', quantity: 0 });
    const orderId = await placed();
    await waitForBroadcast(orderId, 1);
    expect(broadcasts()).toEqual([{ order_id: orderId, version: 1 }]);
  });

  it('When the watchdog republishes an event, then the order is broadcast, too', async () => {
    const orderId = await placed();
    await waitForBroadcast(orderId, 1);
    // The watchdog does not republish an event that is younger than its interval.
    ahead = 6_000;
    expect(await service.sweep()).toBe(200);
    await vi.waitFor(() => expect(broadcasts()).toHaveLength(2), { timeout: 2_000, interval: 10 });
    expect(broadcasts()[1]).toEqual({ order_id: orderId, version: 1 });
  });

  it('When the broadcast fails, then orders continue, no error is logged, and the next change is broadcast', async () => {
    service.sidecar.fail('broadcast');
    const orderId = await placed();
    const failures = () =>
      service.logs.filter(({ msg }) => String(msg).includes('broadcasting order changes failed'));
    await vi.waitFor(() => expect(failures()).toHaveLength(1), { timeout: 2_000, interval: 10 });
    expect(await pay(orderId)).toBe('SUCCESS');
    await waitForBroadcast(orderId, 3);
    expect(service.logs.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  });
});
