import { Router } from 'express';
import { shipmentEvents } from '../fulfilment/contract.ts';
import { inventoryEvents } from '../inventory/contract.ts';
import { paymentEvents } from '../payments/contract.ts';
import { on, subscriptions as routesFor, UnprocessableEvent } from '../shared/events.ts';
import type { Logger } from '../shared/log.ts';
import { aboutOrder } from '../shared/service.ts';
import type { MoveOrder } from './move-order.ts';
import type { Message } from './saga.ts';

/** What other services say about orders. */
export function subscriptions(deps: { log: Logger; move: MoveOrder }): Router {
  async function apply(orderId: string, message: Message): Promise<void> {
    aboutOrder(orderId);
    if (!(await deps.move(orderId, message))) throw new UnprocessableEvent(`there is no order ${orderId}`);
  }

  return routesFor(deps.log, [
    on(inventoryEvents, 'inventory.reserved', ({ order_id }) =>
      apply(order_id, { type: 'inventory.reserved' }),
    ),
    on(inventoryEvents, 'inventory.rejected', ({ order_id, reason }) =>
      apply(order_id, { type: 'inventory.rejected', reason }),
    ),
    on(paymentEvents, 'payment.processed', ({ order_id, payment_id }) =>
      apply(order_id, { type: 'payment.processed', payment_id }),
    ),
    on(paymentEvents, 'payment.failed', ({ order_id, reason }) =>
      apply(order_id, { type: 'payment.failed', reason }),
    ),
    on(paymentEvents, 'payment.refunded', ({ order_id, refunded }) =>
      apply(order_id, { type: 'payment.refunded', refunded }),
    ),
    on(shipmentEvents, 'shipment.dispatched', ({ order_id, tracking_number }) =>
      apply(order_id, { type: 'shipment.dispatched', tracking_number }),
    ),
    on(shipmentEvents, 'shipment.delivered', ({ order_id, tracking_number, shipped_heard = false }) =>
      apply(order_id, { type: 'shipment.delivered', tracking_number, shippedHeard: shipped_heard }),
    ),
    on(shipmentEvents, 'shipment.stopped', ({ order_id, reason }) =>
      apply(order_id, { type: 'shipment.stopped', reason }),
    ),
  ]);
}
