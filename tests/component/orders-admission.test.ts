import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../services/orders/app.ts';
import type { OrderEventType } from '../../services/orders/contract.ts';
import {
  createAdmissionControl,
  type AdmissionControl,
} from '../../services/orders/domain/admission-control.ts';
import { asCaller, slugOf, startService, type ServiceUnderTest } from '../support/service-under-test.ts';

const MAX_LAG = 5_000;

/** Accepts `orders` in ten seconds, one after the other. Returns the times. */
function acceptedIn10s(admission: AdmissionControl, orders: number): number[] {
  const times = Array.from({ length: orders }, (_, position) => Math.floor((position * 10_000) / orders));
  for (const time of times) admission.onAccepted(time);
  return times;
}

describe('the rule', () => {
  /** Just before 10 s, the oldest `left` of 400 orders leave the queue, one per 50 ms. */
  function refusalAfter(left: number, event: OrderEventType = 'order.paid', at = 10_600) {
    const admission = createAdmissionControl(() => MAX_LAG, 0);
    const created = acceptedIn10s(admission, 400).slice(0, left);
    created.forEach((time, position) => {
      const exitedAt = 10_000 - (left - 1 - position) * 50;
      admission.onTransition(event, exitedAt - time, exitedAt);
    });
    return admission.retryAfterSeconds(at);
  }

  it.each<[string, number, OrderEventType, number | undefined]>([
    ['nothing has left', 0, 'order.paid', undefined],
    ['too few have left the queue', 9, 'order.paid', undefined],
    // 390 wait, and 10 per second leave.
    ['ten are late when they are paid', 10, 'order.paid', 10],
    ['ten are late when their payment fails', 10, 'order.payment_failed', 10],
    ['ten are late when they are reserved', 10, 'payment.requested', 10],
    ['ten are late when they are rejected', 10, 'order.rejected', 10],
    // 200 wait, and 19 per second leave: in six seconds 95 will wait.
    ['two hundred are late', 200, 'order.paid', 6],
    ['late ones are cancelled', 100, 'order.cancelled', undefined],
    ['late ones expire', 100, 'order.expired', undefined],
    ['late ones are delivered', 100, 'order.delivered', undefined],
    ['fewer wait than are worked on at once', 336, 'order.paid', undefined],
  ])('When %s, then new orders are shed accordingly', (_what, left, event, seconds) => {
    expect(refusalAfter(left, event)).toBe(seconds);
  });

  it('When the maximum wait changes, then the next order is decided by the new one', () => {
    let maxWaitMs = 60_000;
    const admission = createAdmissionControl(() => maxWaitMs, 0);
    acceptedIn10s(admission, 400)
      .slice(0, 200)
      .forEach((time, position) => admission.onTransition('order.paid', 50 * position - time, 50 * position));
    expect(admission.retryAfterSeconds(10_000)).toBeUndefined();
    maxWaitMs = MAX_LAG;
    expect(admission.retryAfterSeconds(10_000)).toBeGreaterThan(0);
  });

  it('When the evidence is old, then no order is shed', () => {
    expect(refusalAfter(100, 'order.paid', 19_400)).toBeGreaterThan(0);
    expect(refusalAfter(100, 'order.paid', 20_000)).toBeUndefined();
  });

  it('When one of the last ten orders was fast, then the delay of the others has other causes', () => {
    const admission = createAdmissionControl(() => MAX_LAG, 0);
    const created = acceptedIn10s(admission, 400);
    for (const time of created.slice(0, 9)) admission.onTransition('order.paid', 10_000 - time, 10_000);
    for (let count = 0; count < 100; count++) admission.onAccepted(9_900);
    admission.onTransition('order.paid', 10_000 - created[380]!, 10_000);
    expect(admission.retryAfterSeconds(10_000)).toBeUndefined();
  });

  it('When orders are rejected at once and payments are late, then payments count', () => {
    const admission = createAdmissionControl(() => MAX_LAG, 0);
    const created = acceptedIn10s(admission, 400);
    for (const time of created.slice(0, 20)) admission.onTransition('order.paid', 10_000 - time, 10_000);
    for (const time of created.slice(380)) admission.onTransition('order.rejected', 10_000 - time, 10_000);
    expect(admission.retryAfterSeconds(11_000)).toBe(10);
  });

  it('When few orders per second come and are paid at once, then a rush of them is accepted', () => {
    const admission = createAdmissionControl(() => MAX_LAG, 0);
    for (const time of acceptedIn10s(admission, 20)) admission.onTransition('order.paid', 100, time + 100);
    for (let count = 0; count < 1_000; count++) admission.onAccepted(10_000);
    expect(admission.retryAfterSeconds(10_000)).toBeUndefined();
  });

  it('When 300 orders come at once, and forty per second leave, then none is shed', () => {
    const admission = createAdmissionControl(() => MAX_LAG, 0);
    // Few orders came before, so few left.
    for (let at = 0; at < 10_000; at += 1_000) {
      admission.onAccepted(at);
      admission.onTransition('order.paid', 100, at + 100);
    }
    const shed: number[] = [];
    let paid = 0;
    for (let at = 10_000; at < 17_000; at += 25) {
      const position = (at - 10_000) / 25;
      if (admission.retryAfterSeconds(at) !== undefined) shed.push(at);
      // A hundred at once, and then eighty per second.
      const arriving = position === 0 ? 100 : position <= 100 ? 2 : 0;
      for (let count = 0; count < arriving; count++) admission.onAccepted(at);
      // The first ones are paid after 1.1 s.
      if (at >= 11_100) {
        const created = paid < 100 ? 10_000 : 10_000 + Math.ceil((paid - 99) / 2) * 25;
        admission.onTransition('order.paid', at - created, at);
        paid += 1;
      }
    }
    expect(shed).toEqual([]);
  });

  it('When the waiting orders were accepted before the start, then only their lag counts, while it lasts', () => {
    const admission = createAdmissionControl(() => MAX_LAG, 30_000);
    for (let count = 0; count < 10; count++) admission.onTransition('order.paid', 12_500 - count, 31_500);
    expect(admission.retryAfterSeconds(32_500)).toBe(8);
    for (let count = 0; count < 10; count++) admission.onTransition('order.paid', 4_500, 33_500);
    expect(admission.retryAfterSeconds(33_500)).toBeUndefined();
  });

  it.each([
    ['ahead', 3_600_000],
    ['behind', -3_600_000],
  ])('When a clock is an hour %s, then ages by that clock are no evidence, and others are', (_, by) => {
    const admission = createAdmissionControl(() => MAX_LAG, 0);
    const created = acceptedIn10s(admission, 400);
    for (const time of created.slice(0, 20)) admission.onTransition('order.paid', 10_000 - time + by, 10_000);
    expect(admission.retryAfterSeconds(11_000)).toBeUndefined();
    for (const time of created.slice(20, 30)) admission.onTransition('order.paid', 11_000 - time, 11_000);
    expect(admission.retryAfterSeconds(12_000)).toBeGreaterThan(0);
  });

  it('When it has just started with a clock an hour fast, then it accepts orders', () => {
    const admission = createAdmissionControl(() => MAX_LAG, 30_000);
    for (let count = 0; count < 10; count++) admission.onTransition('order.paid', 3_600_100, 31_000);
    expect(admission.retryAfterSeconds(31_000)).toBeUndefined();
  });

  it('When the late ones are messages of a killed replica, then newer orders do not wait behind them', () => {
    const admission = createAdmissionControl(() => MAX_LAG, 0);
    const created = acceptedIn10s(admission, 400);
    for (const time of created.slice(20)) admission.onTransition('order.paid', 100, time + 100);
    created.slice(0, 20).forEach((time, position) => {
      const exitedAt = 25_000 + position * 60;
      admission.onTransition('order.paid', exitedAt - time, exitedAt);
    });
    expect(admission.retryAfterSeconds(26_200)).toBeUndefined();
  });

  it('When an order is not saved after all, then it does not count as waiting', () => {
    const admission = createAdmissionControl(() => MAX_LAG, 0);
    for (const time of acceptedIn10s(admission, 10))
      admission.onTransition('order.paid', 10_500 - time, 10_500);
    for (let count = 0; count < 100; count++) admission.onAccepted(10_000);
    expect(admission.retryAfterSeconds(11_500)).toBe(5);
    for (let count = 0; count < 40; count++) admission.onAborted(10_000);
    expect(admission.retryAfterSeconds(11_500)).toBeUndefined();
  });
});

/** Simulates admission control while payments completes `perSecond` orders whenever `isOpen`. */
function simulate(options: {
  seconds: number;
  perSecond: number;
  arrivals: (second: number) => number;
  isOpen?: (second: number) => boolean;
}) {
  const { seconds, perSecond, arrivals, isOpen = () => true } = options;
  const STEP = 10;
  const admission = createAdmissionControl(() => MAX_LAG, 0);
  const waiting: number[] = [];
  const ticks: { at: number; lag: number | undefined; accepted: number; shed: number }[] = [];
  let [toArrive, toPay] = [0, 0];
  for (let at = 0; at < seconds * 1_000; at += STEP) {
    const second = at / 1_000;
    const tick = { at: second, lag: undefined as number | undefined, accepted: 0, shed: 0 };
    for (toArrive += (arrivals(second) * STEP) / 1_000; toArrive >= 1; toArrive--) {
      if (admission.retryAfterSeconds(at) === undefined) {
        admission.onAccepted(at);
        waiting.push(at);
        tick.accepted += 1;
      } else tick.shed += 1;
    }
    toPay = isOpen(second) ? Math.min(toPay + (perSecond * STEP) / 1_000, 5) : 0;
    // No order takes less than a tenth of a second.
    while (toPay >= 1 && waiting[0] !== undefined && at - waiting[0] >= 100) {
      const created = waiting.shift()!;
      admission.onTransition('order.paid', at - created, at);
      tick.lag = at - created;
      toPay -= 1;
    }
    ticks.push(tick);
  }
  const between = (from: number, to: number) => ticks.filter(({ at }) => at >= from && at < to);
  return {
    worstLag: (from: number, to: number) => Math.max(...between(from, to).map(({ lag }) => lag ?? 0)),
    accepted: (from: number, to: number) =>
      between(from, to).reduce((sum, { accepted }) => sum + accepted, 0),
    shed: (from: number, to: number) => between(from, to).reduce((sum, { shed }) => sum + shed, 0),
    waiting: waiting.length,
  };
}

describe('one minute of traffic', () => {
  it.each([30, 300])(
    'When five times more orders come than the capacity of %i per second, then it keeps its throughput',
    (perSecond) => {
      const arrivals = (second: number) => (second < 40 ? 5 : 0.5) * perSecond;
      const simulation = simulate({ seconds: 60, perSecond, arrivals });
      expect(simulation.worstLag(0, 60)).toBeLessThan(2 * MAX_LAG);
      expect(simulation.worstLag(15, 40)).toBeLessThan(1.2 * MAX_LAG);
      expect(simulation.accepted(15, 40) / 25).toBeGreaterThan(0.9 * perSecond);
      expect(simulation.shed(15, 40) / 25).toBeGreaterThan(3.9 * perSecond);
      expect(simulation.worstLag(55, 60)).toBe(100);
      expect(simulation.shed(42, 60)).toBe(0);
    },
  );

  it('When as many orders come as it can process, then none is shed', () => {
    const simulation = simulate({ seconds: 60, perSecond: 30, arrivals: () => 29 });
    expect([simulation.shed(0, 60), simulation.worstLag(0, 60)]).toEqual([0, 100]);
  });

  it('When payments is unavailable for half a minute, then orders are accepted meanwhile, and soon after', () => {
    const isOpen = (second: number) => second < 20 || second >= 50;
    const simulation = simulate({ seconds: 120, perSecond: 60, arrivals: () => 20, isOpen });
    expect(simulation.shed(0, 50)).toBe(0);
    expect(simulation.shed(75, 120)).toBe(0);
    expect(simulation.waiting).toBeLessThan(5);
  });
});

describe('POST /api/orders while orders wait', () => {
  const CUSTOMER = randomUUID();
  const CART = {
    items: [{ product_id: 'mug-blue', quantity: 1 }],
    payment: { method: 'card', card_token: 'tok_visa' },
  };
  const MUG = { product_id: 'mug-blue', name: 'Mug', unit_price: 1250, currency: 'EUR' };
  const STOCK = { on_hand: 9, reserved: 0, available: 9 };

  let clock: number;
  let service: ServiceUnderTest;
  /** Advances both clocks of the service. */
  const pass = (ms: number) => {
    clock += ms;
    vi.advanceTimersByTime(ms);
  };

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    clock = Date.parse('2026-01-01T00:00:00.000Z');
    service = await startService((deps) =>
      createApp({
        ...deps,
        watchdogIntervalMs: 1_000,
        paymentDeadlineMs: 60_000,
        maxQueueWaitMs: () => MAX_LAG,
        now: () => new Date(clock),
      }),
    );
    service.sidecar.answer('inventory', () => ({ status: 200, body: { items: [{ ...MUG, ...STOCK }] } }));
  });
  afterEach(() => {
    vi.useRealTimers();
    return service.stop();
  });

  const post = (key?: string, body: object = CART) =>
    service.http
      .post('/api/orders')
      .set(asCaller(CUSTOMER))
      .set(key === undefined ? {} : { 'idempotency-key': key })
      .send(body);

  /** 90 orders, of which the first ten are reserved after six seconds: 80 wait, and ten per second leave. */
  async function backlog(): Promise<string[]> {
    const place = async (count: number) =>
      ((await post(`key-${count}`)).body as { order_id: string }).order_id;
    const numbers = Array.from({ length: 90 }, (_, count) => count);
    const first = await Promise.all(numbers.slice(0, 10).map(place));
    pass(1);
    const ids = [...first, ...(await Promise.all(numbers.slice(10).map(place)))];
    pass(6_000);
    await Promise.all(first.map((order_id) => service.deliver('inventory.reserved', { order_id })));
    pass(1_000);
    return ids;
  }

  it('When one arrives, then 503 has the time to retry, and nothing is read or written', async () => {
    await backlog();
    const { calls, documents, jobs, published } = service.sidecar;
    const before = [calls.length, documents.size, jobs.size, published.length];
    let reads = 0;
    service.sidecar.onStateCall(() => void (reads += 1));
    const response = await post();
    expect([response.status, slugOf(response), response.headers['retry-after']]).toEqual([
      503,
      'unavailable',
      '3',
    ]);
    expect([calls.length, documents.size, jobs.size, published.length]).toEqual(before);
    expect(reads).toBe(0);
  });

  it.each([
    ['ahead', 3_600_000],
    ['back', -3_600_000],
  ])('When the clock is set an hour %s, then orders are still shed', async (_, by) => {
    await backlog();
    clock += by;
    expect((await post()).status).toBe(503);
  });

  it('When they are shed, then the metric counts them, and no error is logged', async () => {
    await backlog();
    await Promise.all([post(), post(), post('a-new-key')]);
    const { text } = await service.http.get('/metrics');
    expect(text).toContain('\nadmission_control_orders_total{result="shed"} 3\n');
    expect(text).toContain('\norders_created_total{status="failed"} 3\n');
    expect(service.logs.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('When an accepted one is repeated, then the response is replayed', async () => {
    const ids = await backlog();
    const repeated = await post('key-50');
    expect([repeated.status, repeated.body]).toMatchObject([201, { order_id: ids[50] }]);
    expect(repeated.headers['idempotent-replayed']).toBe('true');
  });

  it('When a shed one is sent again after the waiting ones have continued, then it is accepted', async () => {
    const ids = await backlog();
    expect((await post('later')).status).toBe(503);
    pass(4_000);
    await Promise.all(ids.slice(10).map((order_id) => service.deliver('inventory.reserved', { order_id })));
    expect((await post('later')).status).toBe(201);
  });

  it('When orders cannot be saved, then they do not count as waiting', async () => {
    const ids: string[] = [];
    for (let count = 0; count < 10; count++) ids.push(((await post()).body as { order_id: string }).order_id);
    pass(6_000);
    const unknown = { ...CART, items: [{ product_id: 'nope', quantity: 1 }] };
    for (let count = 0; count < 80; count++) expect((await post(undefined, unknown)).status).toBe(422);
    for (const order_id of ids) await service.deliver('inventory.reserved', { order_id });
    expect((await post()).status).toBe(201);
  });
});
