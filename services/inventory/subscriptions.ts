import { addRequestFields } from '../shared/telemetry/request-context.ts';
import type { Router } from 'express';
import type { z } from 'zod';
import { orderEvents, type orderEventData } from '../orders/contract.ts';
import { createEventPublisher } from '../shared/dapr/event-publisher.ts';
import { onEvent, createSubscriptionRouter } from '../shared/dapr/subscriptions.ts';
import { type ServiceDeps } from '../shared/runtime/service-app.ts';
import { createCounter } from '../shared/telemetry/metrics.ts';
import { inSpan } from '../shared/telemetry/spans.ts';
import { inventoryEvents } from './contract.ts';
import type { OrderCommand, Reservation } from './domain/stock.ts';
import { METRICS } from './metrics.ts';
import type { StockStore } from './store/stock-store.ts';

type OrderEvent = z.infer<typeof orderEventData>;

export function createSubscriptions(deps: ServiceDeps, stock: StockStore): Router {
  const { log, sidecar, metrics } = deps;
  const { publish } = createEventPublisher(sidecar, inventoryEvents);
  const reservations = createCounter(metrics, METRICS.reservations);

  async function apply(kind: OrderCommand['kind'], { order }: OrderEvent): Promise<Reservation> {
    const { order_id, items: lines } = order;
    addRequestFields({ order_id });
    const at = new Date().toISOString();
    const { before, after } = await inSpan(`${kind} stock`, {}, () =>
      stock.applyToOrder({ kind, order_id, lines, at }),
    );
    if (!after) throw new Error('no reservation of this order yet');
    if (after.status !== before?.status) reservations.inc({ status: after.status });
    return after;
  }

  async function reserve(event: OrderEvent): Promise<void> {
    const { order_id, time, reason } = await apply('reserve', event);
    const about = { subject: order_id, time };
    if (reason === undefined)
      await publish('inventory.reserved', { ...about, id: `${order_id}:reserved`, data: { order_id } });
    else
      await publish('inventory.rejected', {
        ...about,
        id: `${order_id}:rejected`,
        data: { order_id, reason },
      });
  }

  async function sell(event: OrderEvent): Promise<void> {
    const { order_id, status, sale } = await apply('sell', event);
    // The order ended before its payment. `orders` handles the money, and the stock is already free.
    if (!sale) return log.warn({ status }, 'order.paid ignored: no reservation');
    for (const { product_id, available } of sale.low)
      await publish('stock.low', {
        id: `${order_id}:low:${product_id}`,
        subject: product_id,
        time: sale.time,
        data: { product_id, available },
      });
  }

  async function release(event: OrderEvent): Promise<void> {
    await apply('release', event);
  }

  return createSubscriptionRouter(deps, [
    onEvent(orderEvents, 'order.created', reserve),
    onEvent(orderEvents, 'order.paid', sell),
    onEvent(orderEvents, 'order.payment_failed', release),
    onEvent(orderEvents, 'order.cancelled', release),
    onEvent(orderEvents, 'order.expired', release),
  ]);
}
