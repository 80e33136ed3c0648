import { createDocumentStore, type DocumentStore } from '../../shared/dapr/document-store.ts';
import type { StateStore } from '../../shared/dapr/state-store.ts';
import type { PaymentMethod } from '../contract.ts';
import type { OrderEvent } from '../domain/order.ts';

/** The document of an order: its stream, and data that no caller may read in the stream. */
export interface OrderDocument {
  order_id: string;
  events: OrderEvent[];
  /** The card, until the payment is decided. */
  payment?: PaymentMethod;
  /** A message has ended the order. The broker redelivers it until the last event is published, so the watchdog need not. */
  ended_by_message?: true;
  /** Identifies the request. Another request with the same idempotency key has another hash. */
  request_hash: string;
}

export type OrderStore = DocumentStore<OrderDocument>;

/** The orders, one document per order. */
export const createOrderStore = (state: StateStore): OrderStore =>
  createDocumentStore(state, 'order', ({ order_id }) => order_id);

/** The newest event of an order. */
export function lastEventOf({ order_id, events }: OrderDocument): OrderEvent {
  const last = events.at(-1);
  if (!last) throw new Error(`the stream of order ${order_id} is empty`);
  return last;
}
