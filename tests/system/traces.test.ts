import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { unwrap } from '../../services/gateway/client/client.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { registerCustomer, placeOrder, waitForStatus, type Caller } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';
import { isOfService, spansOf, stepEdges, stepOf, type Span } from '../support/zipkin.ts';

/**
 * The directed edges of traces in a real Zipkin. `->` is a direct child, `=>` one below spans of sidecars. Zipkin writes names in
 * small letters.
 */
const RESERVED = [
  'client -> gateway post /api/orders',
  'gateway post /api/orders => orders place order',
  'orders place order => history process order.created',
  'orders place order => inventory process order.created',
  'inventory process order.created -> inventory reserve stock',
  'inventory process order.created => orders process inventory.reserved',
  'orders process inventory.reserved -> orders apply trigger inventory.reserved',
  'orders apply trigger inventory.reserved => history process payment.requested',
  'orders apply trigger inventory.reserved => payments process payment.requested',
  'payments process payment.requested -> payments authorize payment',
];
const DELIVERED = [
  ...RESERVED,
  'payments process payment.requested -> payments capture payment',
  'payments process payment.requested => orders process payment.processed',
  'orders process payment.processed -> orders apply trigger payment.processed',
  'orders apply trigger payment.processed => fulfilment process order.paid',
  'orders apply trigger payment.processed => history process order.paid',
  'orders apply trigger payment.processed => inventory process order.paid',
  'orders apply trigger payment.processed => notifications process order.paid',
  'inventory process order.paid -> inventory sell stock',
  'notifications process order.paid -> notifications send e-mail order.paid',
  'fulfilment process order.paid -> fulfilment update shipment order.paid',
  // The sweeps, first for the dispatch and then for the delivery.
  'fulfilment update shipment order.paid -> fulfilment update shipment tick',
  'fulfilment update shipment tick => orders process shipment.dispatched',
  'fulfilment update shipment tick => orders process shipment.delivered',
  'orders process shipment.dispatched -> orders apply trigger shipment.dispatched',
  'orders apply trigger shipment.dispatched => fulfilment process order.shipped',
  'orders apply trigger shipment.dispatched => history process order.shipped',
  'orders apply trigger shipment.dispatched => notifications process order.shipped',
  'notifications process order.shipped -> notifications send e-mail order.shipped',
  'orders process shipment.delivered -> orders apply trigger shipment.delivered',
  'orders apply trigger shipment.delivered => history process order.delivered',
];
const DECLINED = [
  ...RESERVED,
  'payments process payment.requested => orders process payment.failed',
  'orders process payment.failed -> orders apply trigger payment.failed',
  'orders apply trigger payment.failed => history process order.payment_failed',
  'orders apply trigger payment.failed => inventory process order.payment_failed',
  'orders apply trigger payment.failed => notifications process order.payment_failed',
  'inventory process order.payment_failed -> inventory release stock',
  'notifications process order.payment_failed -> notifications send e-mail order.payment_failed',
];
const CANCELLED = [
  'client -> gateway post /api/orders/:id/cancel',
  'gateway post /api/orders/:id/cancel => orders cancel order',
  'orders cancel order -> orders apply trigger cancel',
  'orders cancel order => fulfilment update shipment stop',
  'orders cancel order -> orders apply trigger shipment.stopped',
  'fulfilment update shipment stop => orders process shipment.stopped',
  'orders process shipment.stopped -> orders apply trigger shipment.stopped',
  'orders apply trigger shipment.stopped => history process order.cancelled',
  'orders apply trigger shipment.stopped => inventory process order.cancelled',
  'orders apply trigger shipment.stopped => notifications process order.cancelled',
  'orders apply trigger shipment.stopped => payments process order.cancelled',
  'inventory process order.cancelled -> inventory release stock',
  'notifications process order.cancelled -> notifications send e-mail order.cancelled',
  'payments process order.cancelled -> payments reverse payment',
  'payments process order.cancelled => orders process payment.refunded',
  'orders process payment.refunded -> orders apply trigger payment.refunded',
];
/** Events that arrive together share one update, which belongs to the trace of the first. */
const SHARED_UPDATE = / -> history update read model$/;

let system: RunningSystem;
let customer: Caller;
const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-traces-'));

beforeAll(async () => {
  system = await startSystem({
    dataDir,
    portOffset: PORT_OFFSETS.traces,
    env: {
      gateway: NO_RATE_LIMITS,
      // No check is part of these traces.
      orders: { ORDER_WATCHDOG_INTERVAL_MS: '120000' },
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '1000', SIMULATED_DELIVERY_DELAY_MS: '500' },
    },
  });
  customer = await registerCustomer(system.urls.api);
});
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** The spans of services in a trace that has all these edges, and no others. Spans are exported a few seconds late. */
async function stepsOf(traceId: string, table: readonly string[]): Promise<Span[]> {
  const hasTable = (spans: readonly Span[]) => {
    const edges = stepEdges(spans);
    return table.every((edge) => edges.has(edge));
  };
  const spans = await waitFor(`trace ${traceId} has all edges`, () => spansOf(system.urls.zipkin, traceId), {
    until: hasTable,
    timeoutMs: 30_000,
  });
  const edges = [...stepEdges(spans)].filter((edge) => !SHARED_UPDATE.test(edge));
  expect(edges.toSorted()).toEqual(table.toSorted());
  return spans.filter(isOfService);
}

const named = (steps: readonly Span[], name: string) => steps.filter((step) => stepOf(step) === name);
const eventsOf = (steps: readonly Span[]) =>
  steps.flatMap((step) => (step.annotations ?? []).map(({ value }) => `${stepOf(step)}: ${value}`));

describe('the trace of an order', () => {
  it('When it is delivered, then it leads from the request to the last e-mail, through all messages and timers', async () => {
    const { orderId, traceId } = await placeOrder(customer);
    await waitForStatus(customer, orderId, 'DELIVERED');
    const steps = await stepsOf(traceId, DELIVERED);
    const [root] = named(steps, 'gateway post /api/orders');
    expect(root).toMatchObject({
      kind: 'SERVER',
      tags: {
        'http.request.method': 'POST',
        'http.route': '/api/orders',
        'http.response.status_code': '201',
        'url.path': '/api/orders',
        'url.scheme': 'http',
      },
    });
    const [message] = named(steps, 'inventory process order.created');
    expect(message).toMatchObject({
      kind: 'CONSUMER',
      tags: {
        'messaging.system': 'dapr',
        'messaging.operation.type': 'process',
        'messaging.destination.name': 'order.created',
        'messaging.message.id': `${orderId}:1`,
      },
    });
    expect(new Set(steps.filter((step) => step !== root).map(({ tags }) => tags?.['order.id']))).toEqual(
      new Set([orderId]),
    );
    expect(steps.filter(({ tags }) => tags?.['error.type'])).toEqual([]);
    expect(eventsOf(steps)).toEqual([]);
  });

  it('When its card is declined, then it shows the reason of the compensation', async () => {
    const { orderId, traceId } = await placeOrder(customer, { card: 'tok_chargeDeclined' });
    await waitForStatus(customer, orderId, 'PAYMENT_FAILED');
    const steps = await stepsOf(traceId, DECLINED);
    expect(eventsOf(steps)).toEqual(['orders apply trigger payment.failed: compensation: card declined']);
  });

  it('When it is cancelled, then the request leads to the refund, without the words of the customer', async () => {
    const { orderId } = await placeOrder(customer);
    await waitForStatus(customer, orderId, 'PAID');
    const traceId = randomBytes(16).toString('hex');
    const cancelled = await customer.call('POST /api/orders/:id/cancel', {
      params: { id: orderId },
      body: { reason: 'found it cheaper' },
      headers: { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` },
    });
    expect(unwrap(cancelled).status).toBe('CANCELLED');
    const steps = await stepsOf(traceId, CANCELLED);
    // Both ways to the cancellation may publish it. Then some steps are there twice.
    expect([...new Set(eventsOf(steps))].toSorted()).toEqual([
      'orders apply trigger shipment.stopped: compensation: shipment.stopped',
      'payments reverse payment: compensation: order cancelled',
    ]);
    expect(JSON.stringify(await spansOf(system.urls.zipkin, traceId))).not.toContain('found it cheaper');
  });

  it('When a message is redelivered, then each attempt has a span, and the failed ones an error', async () => {
    const { orderId, traceId } = await placeOrder(customer, { card: 'tok_flaky' });
    await waitForStatus(customer, orderId, 'DELIVERED');
    const steps = await stepsOf(traceId, DELIVERED);
    const attempts = named(steps, 'payments process payment.requested');
    expect(new Set(attempts.map(({ tags }) => tags?.['messaging.message.id'])).size).toBe(1);
    const errors = attempts.map(({ tags }) => tags?.['error.type'] ?? 'none').toSorted();
    expect(errors).toEqual(['none', 'unavailable', 'unavailable']);
  });
});
