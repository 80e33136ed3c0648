import { addRequestFields } from '../shared/telemetry/request-context.ts';
import { Router } from 'express';
import { shipmentEvents } from '../fulfilment/contract.ts';
import { inventoryEvents } from '../inventory/contract.ts';
import { paymentEvents } from '../payments/contract.ts';
import { returnEvents } from '../returns/contract.ts';
import { onEvent, createSubscriptionRouter, UnprocessableEvent } from '../shared/dapr/subscriptions.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import type { Metrics } from '../shared/telemetry/metrics.ts';
import type { ApplyTrigger } from './apply-trigger.ts';
import type { Trigger } from './domain/state-machine.ts';

/** The events that `orders` receives. Each is a trigger of the state machine. */
export function createSubscriptions(deps: {
  log: Logger;
  metrics: Metrics;
  applyTrigger: ApplyTrigger;
}): Router {
  async function apply(orderId: string, trigger: Trigger): Promise<void> {
    addRequestFields({ order_id: orderId });
    const result = await deps.applyTrigger(orderId, trigger);
    if (!result) throw new UnprocessableEvent(`order ${orderId} does not exist`);
  }

  return createSubscriptionRouter(deps, [
    onEvent(inventoryEvents, 'inventory.reserved', ({ order_id }) =>
      apply(order_id, { type: 'inventory.reserved' }),
    ),
    onEvent(inventoryEvents, 'inventory.rejected', ({ order_id, reason }) =>
      apply(order_id, { type: 'inventory.rejected', reason }),
    ),
    onEvent(paymentEvents, 'payment.processed', ({ order_id, payment_id }) =>
      apply(order_id, { type: 'payment.processed', payment_id }),
    ),
    onEvent(paymentEvents, 'payment.failed', ({ order_id, reason }) =>
      apply(order_id, { type: 'payment.failed', reason }),
    ),
    onEvent(paymentEvents, 'payment.refunded', ({ order_id, refunded }) =>
      apply(order_id, { type: 'payment.refunded', refunded }),
    ),
    onEvent(
      returnEvents,
      'return.refunded',
      ({ return: { order_id, return_id, received }, order_refunded }) =>
        apply(order_id, {
          type: 'return.refunded',
          return_id,
          items: received.map(({ product_id, quantity }) => ({ product_id, quantity })),
          refunded: order_refunded,
        }),
    ),
    onEvent(shipmentEvents, 'shipment.dispatched', ({ order_id, tracking_number }) =>
      apply(order_id, { type: 'shipment.dispatched', tracking_number }),
    ),
    onEvent(shipmentEvents, 'shipment.delivered', ({ order_id, tracking_number, shipped_heard = false }) =>
      apply(order_id, { type: 'shipment.delivered', tracking_number, orderShippedReceived: shipped_heard }),
    ),
    onEvent(shipmentEvents, 'shipment.stopped', ({ order_id, reason }) =>
      apply(order_id, { type: 'shipment.stopped', reason }),
    ),
  ]);
}
