import { randomUUID } from 'node:crypto';
import type { Order } from '../../services/orders/contract.ts';
import type { Trigger } from '../../services/orders/domain/state-machine.ts';

/** The creation and update time of the orders below. */
export const BUILT_AT = '2026-01-01T00:00:00.000Z';

/** A new order of one mug by a random customer. A test overrides the fields that it is about. */
export function buildOrder(overrides: Partial<Order> = {}): Order {
  return {
    order_id: randomUUID(),
    customer_id: randomUUID(),
    status: 'PENDING',
    items: [{ product_id: 'mug', name: 'Mug', quantity: 1, unit_price: 1200 }],
    total: 1200,
    currency: 'EUR',
    version: 1,
    created_at: BUILT_AT,
    updated_at: BUILT_AT,
    ...overrides,
  };
}

/** One trigger of each type. */
export const ONE_TRIGGER_PER_TYPE: Trigger[] = [
  { type: 'inventory.reserved' },
  { type: 'inventory.rejected', reason: 'r' },
  { type: 'payment.processed', payment_id: 'p' },
  { type: 'payment.failed', reason: 'r' },
  { type: 'payment.refunded', refunded: 100 },
  { type: 'return.refunded', return_id: 'r', items: [{ product_id: 'mug', quantity: 1 }], refunded: 50 },
  { type: 'shipment.dispatched', tracking_number: 't' },
  { type: 'shipment.delivered', tracking_number: 't', orderShippedReceived: false },
  { type: 'shipment.stopped', reason: 'r' },
  { type: 'cancel', reason: 'r' },
  { type: 'mark-shipped' },
  { type: 'mark-delivered' },
  { type: 'payment-deadline-passed' },
];
