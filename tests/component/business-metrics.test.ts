import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createApp as createGatewayApp } from '../../services/gateway/app.ts';
import { createAccessControl } from '../../services/gateway/auth/access-control.ts';
import { createApp as createHistoryApp } from '../../services/history/app.ts';
import { createApp as createInventoryApp } from '../../services/inventory/app.ts';
import { createApp as createNotificationsApp } from '../../services/notifications/app.ts';
import { createApp as createOrdersApp } from '../../services/orders/app.ts';
import { closeServer, listen } from '../../services/shared/http/listen.ts';
import { OverloadedError } from '../../services/shared/http/problem.ts';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import { gatewayOptions } from '../support/gateway-options.ts';
import { buildOrder } from '../support/orders.ts';
import { asCaller, startService, type ServiceUnderTest } from '../support/service-under-test.ts';
import { waitFor } from '../support/wait.ts';

const START = Date.parse('2026-01-01T00:00:00.000Z');
let clock: Date;
let service: ServiceUnderTest;
afterEach(() => service.stop());
const later = (seconds: number) => void (clock = new Date(clock.getTime() + seconds * 1000));

const scrape = async () => (await service.http.get('/metrics')).text;

/** The samples of a metric that are not zero, without the bounds of buckets. */
async function samplesOf(name: string): Promise<string[]> {
  return (await scrape())
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && !line.endsWith(' 0'))
    .map((line) => line.slice(name.length));
}

describe('orders', () => {
  const CUSTOMER = randomUUID();

  async function start(): Promise<void> {
    clock = new Date(START);
    service = await startService((deps) =>
      createOrdersApp({
        ...deps,
        watchdogIntervalMs: 1_000,
        paymentDeadlineMs: 60_000,
        now: () => clock,
        clock: () => clock.getTime(),
      }),
    );
    const mug = { product_id: 'mug', name: 'Mug', unit_price: 12, currency: 'EUR' };
    service.sidecar.answer('inventory', () => ({
      status: 200,
      body: { items: [{ ...mug, on_hand: 9, reserved: 0, available: 9 }] },
    }));
  }

  async function place(): Promise<string> {
    const body = {
      items: [{ product_id: 'mug', quantity: 1 }],
      payment: { method: 'card', card_token: 'tok_visa' },
    };
    const response = await service.http.post('/api/orders').set(asCaller(CUSTOMER)).send(body);
    return (response.body as { order_id: string }).order_id;
  }

  it('measures an order from its acceptance to its decision and its end, and each status', async () => {
    await start();
    const order_id = await place();
    later(1);
    await service.deliver('inventory.reserved', { order_id });
    later(2);
    await service.deliver('payment.processed', { order_id, payment_id: randomUUID() });
    later(4);
    await service.deliver('shipment.dispatched', { order_id, tracking_number: 'SC1' });
    later(8);
    await service.deliver('shipment.delivered', { order_id, tracking_number: 'SC1', shipped_heard: true });
    expect(await samplesOf('order_decision_duration_seconds_sum')).toEqual(['{status="PAID"} 3']);
    expect(await samplesOf('order_saga_duration_seconds_sum')).toEqual(['{status="DELIVERED"} 15']);
    expect(await samplesOf('order_status_duration_seconds_sum')).toEqual([
      '{status="PENDING"} 1',
      '{status="RESERVED"} 2',
      '{status="PAID"} 4',
      '{status="SHIPPED"} 8',
    ]);
    expect(await samplesOf('orders_created_total')).toEqual(['{status="success"} 1']);
    expect(await samplesOf('admission_control_orders_total')).toEqual(['{result="accepted"} 1']);
    expect(await samplesOf('order_compensations_total')).toEqual([]);
  });

  it('counts a transition once when its trigger arrives twice', async () => {
    await start();
    const order_id = await place();
    for (let delivery = 0; delivery < 2; delivery++)
      await service.deliver('inventory.rejected', { order_id, reason: 'sold out' });
    expect(await samplesOf('order_transitions_total')).toEqual(['{event="order.rejected"} 1']);
    expect(await samplesOf('order_decision_duration_seconds_count')).toEqual(['{status="REJECTED"} 1']);
  });

  it('never measures a negative duration when another clock was ahead', async () => {
    await start();
    const order_id = await place();
    later(-60);
    await service.deliver('inventory.rejected', { order_id, reason: 'sold out' });
    expect(await samplesOf('order_saga_duration_seconds_count')).toEqual(['{status="REJECTED"} 1']);
    expect(await samplesOf('order_saga_duration_seconds_sum')).toEqual([]);
  });

  it('counts what is undone, by the trigger', async () => {
    await start();
    const [declined, cancelled] = [await place(), await place(), await place()];
    await service.deliver('payment.failed', { order_id: declined, reason: 'declined' });
    await service.http.post(`/api/orders/${cancelled}/cancel`).set(asCaller(CUSTOMER));
    expect(await service.sweep()).toBe(200);
    later(100);
    expect(await service.sweep()).toBe(200);
    expect(await samplesOf('order_compensations_total')).toEqual([
      '{reason="payment.failed"} 1',
      '{reason="cancel"} 1',
      '{reason="payment-deadline-passed"} 1',
    ]);
    expect(await samplesOf('order_watchdog_actions_total')).toEqual([
      '{action="expired"} 1',
      '{action="finished"} 2',
    ]);
  });

  it('counts what watchdogs do', async () => {
    await start();
    await place();
    const rejected = await place();
    await service.deliver('inventory.rejected', { order_id: rejected, reason: 'sold out' });
    later(30);
    expect(await service.sweep()).toBe(200);
    expect(await samplesOf('order_watchdog_actions_total')).toEqual([
      '{action="republished"} 1',
      '{action="finished"} 1',
    ]);
  });

  it('counts the orders that wait to be decided', async () => {
    await start();
    const queued = async () => /^admission_control_queued_orders (.*)$/m.exec(await scrape())?.[1];
    const [, second] = [await place(), await place(), await place()];
    expect(await queued()).toBe('3');
    await service.deliver('inventory.reserved', { order_id: second });
    expect(await queued()).toBe('3');
  });

  it('counts redeliveries by their cause, and a failed order', async () => {
    await start();
    const order_id = await place();
    service.sidecar.fail('state');
    expect(await service.deliver('inventory.reserved', { order_id })).toBe('RETRY');
    service.sidecar.onStateCall(() => {
      throw new Error('away');
    });
    expect(await place()).toBeUndefined();
    expect(await samplesOf('event_redeliveries_total')).toEqual([
      '{event="inventory.reserved",cause="sidecar"} 1',
    ]);
    expect(await samplesOf('orders_created_total')).toEqual(['{status="success"} 1', '{status="failed"} 1']);
  });
});

describe('history', () => {
  it('has the number of open and stuck orders and the age of the oldest, a scrape late', async () => {
    clock = new Date(START);
    service = await startService((deps) => createHistoryApp({ ...deps, now: () => clock }));
    for (const status of ['PENDING', 'PAID', 'DELIVERED'] as const)
      await service.deliver('order.created', {
        order: buildOrder({ status, updated_at: clock.toISOString() }),
      });
    later(150);
    await service.deliver('order.created', { order: buildOrder({ updated_at: clock.toISOString() }) });
    expect(await samplesOf('open_orders')).toEqual([]);
    await waitFor('the load', () => samplesOf('open_orders'), { until: (samples) => samples.length > 0 });
    expect(await samplesOf('open_orders')).toEqual(['{status="PENDING"} 2', '{status="PAID"} 1']);
    expect(await samplesOf('stuck_orders')).toEqual(['{status="PENDING"} 1', '{status="PAID"} 1']);
    expect(await scrape()).toContain('\noldest_open_order_age_seconds 150\n');
  });

  it('answers a scrape at once while the state store gives no answer', async () => {
    clock = new Date(START);
    service = await startService((deps) => createHistoryApp({ ...deps, now: () => clock }));
    let release = () => {};
    service.sidecar.onStateCall(() => new Promise<void>((resolve) => (release = resolve)));
    for (let count = 0; count < 3; count++) expect(await scrape()).toContain('# TYPE open_orders gauge');
    release();
  });
});

describe('inventory', () => {
  it('has the stock of twenty products, those that run out first', async () => {
    const product = (number: number) => ({
      product_id: `p${number}`,
      name: 'P',
      unit_price: 1,
      currency: 'EUR',
      on_hand: number,
      low_stock_threshold: number === 90 ? 90 : 5,
    });
    const catalogue = Array.from({ length: 100 }, (_, number) => product(number));
    service = await startService((deps) => createInventoryApp({ ...deps, catalogue }));
    await vi.waitFor(() => service.http.get('/readyz').expect(200), { interval: 5, timeout: 10_000 });
    const samples = await waitFor('the load', () => samplesOf('current_stock'), {
      until: (found) => found.length > 0,
    });
    // The stock of p0 is zero.
    expect(samples).toHaveLength(19);
    expect(samples).toContain('{product="p1"} 1');
    expect(samples).toContain('{product="p90"} 90');
    expect(await samplesOf('low_stock_threshold')).toContain('{product="p90"} 90');
  });
});

describe('notifications', () => {
  it('counts e-mails by kind and outcome', async () => {
    service = await startService((deps) => createNotificationsApp({ ...deps, bindings: ['email'] }));
    const user = { user_id: randomUUID(), email: 'ada@example.com', name: 'Ada', role: 'customer' };
    const gone = { ...user, user_id: randomUUID() };
    await service.deliver('user.registered', { user, version: 1 });
    await service.deliver('user.registered', { user, version: 1 });
    service.sidecar.fail('send');
    const order = buildOrder({ customer_id: user.user_id });
    expect(await service.deliver('order.paid', { order })).toBe('RETRY');
    await service.deliver('user.deleted', { user_id: gone.user_id, version: 2 });
    await service.deliver('order.shipped', { order: buildOrder({ customer_id: gone.user_id }) });
    expect(await samplesOf('emails_total')).toEqual([
      '{kind="order.paid",outcome="failed"} 1',
      '{kind="order.shipped",outcome="suppressed"} 1',
      '{kind="user.registered",outcome="sent"} 1',
      '{kind="user.registered",outcome="repeated"} 1',
    ]);
  });
});

describe('the gateway', () => {
  it('has the requests in progress, those that it shed, and the open connections', async () => {
    const metrics = createMetrics();
    service = await startService((deps) => createGatewayApp({ ...deps, ...gatewayOptions() }));
    const options = { ...gatewayOptions(), metrics };
    const { concurrency } = createAccessControl({ ...options, log: undefined!, sidecar: undefined! });
    let release = () => {};
    const waiting = new Promise<void>((resolve) => (release = resolve));
    // Sixty-four are in progress, and as many wait.
    const running = Array.from({ length: 128 }, () => concurrency.run(() => waiting));
    await expect(concurrency.run(() => waiting)).rejects.toThrow(OverloadedError);
    const server = await listen((_req, res) => void res.end(), 0, '127.0.0.1', { metrics });
    const client = connect((server.address() as { port: number }).port, '127.0.0.1');
    await once(client, 'connect');
    const text = await waitFor('the connection is accepted', () => metrics.metrics(), {
      until: (found) => found.includes('active_connections{protocol="http"} 1\n'),
    });
    expect(text).toContain('requests_in_progress 64\n');
    expect(text).toContain('requests_shed_total 1\n');
    release();
    client.destroy();
    await Promise.all([...running, closeServer(server)]);
    expect(await metrics.metrics()).toContain('requests_in_progress 0\n');
  });
});
