import { randomUUID } from 'node:crypto';
import type { Order } from '../../services/orders/contract.ts';

/** When the orders below were made and last changed. */
export const BUILT_AT = '2026-01-01T00:00:00.000Z';

/** A new order of one mug, of a customer of its own; what matters to a test is said there. */
export function buildOrder(more: Partial<Order> = {}): Order {
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
    ...more,
  };
}
