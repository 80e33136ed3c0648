import type { StateStore, Stored } from '../../shared/state.ts';
import type { PaymentMethod } from '../contract.ts';
import type { OrderEvent } from '../domain/order.ts';

/** The document of an order: its stream, and data that no caller may read in the stream. */
export interface OrderDocument {
  order_id: string;
  events: OrderEvent[];
  /** The card, until the payment is decided. */
  payment?: PaymentMethod;
  /** The watchdog is not scheduled yet, because the scheduler was unavailable. The next transition schedules it. */
  unwatched?: true;
  /** Identifies the request. Another request with the same idempotency key has another hash. */
  request_hash: string;
}

export interface OrderStore {
  load: (orderId: string) => Promise<Stored<OrderDocument> | undefined>;
  /** @throws ConflictError if the order exists */
  create: (document: OrderDocument) => Promise<void>;
  /** @throws ConflictError if the order has changed since it was loaded */
  save: (document: OrderDocument, before: Stored<OrderDocument>) => Promise<void>;
}

const keyOf = (orderId: string) => `order:${orderId}`;

/** The orders, one document per order. */
export function createOrderStore(state: StateStore): OrderStore {
  return {
    load: (orderId) => state.get<OrderDocument>(keyOf(orderId)),
    create: (document) => state.write({ op: 'put', key: keyOf(document.order_id), value: document }),
    save: (document, { etag }) =>
      state.write({ op: 'put', key: keyOf(document.order_id), value: document, etag }),
  };
}

/** The newest event of an order. */
export function lastEventOf({ order_id, events }: OrderDocument): OrderEvent {
  const last = events.at(-1);
  if (!last) throw new Error(`the stream of order ${order_id} is empty`);
  return last;
}
