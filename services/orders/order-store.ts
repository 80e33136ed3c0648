import type { StateStore, Stored } from '../shared/state.ts';
import type { PaymentMethod } from './contract.ts';
import type { OrderEvent } from './order.ts';

/** The document of an order: its stream, and what is needed beside it. */
export interface OrderDocument {
  order_id: string;
  events: OrderEvent[];
  /** Until the payment is decided. Not in the stream, which callers can read. */
  payment?: PaymentMethod;
  /** Its job could not be set yet, because the scheduler was away: whoever moves the order tries to, and whoever ends it has to. */
  unwatched?: true;
  /** What the order was made of, to tell a repeated request from another one with the same idempotency key. */
  request_hash: string;
}

export interface OrderStore {
  load: (orderId: string) => Promise<Stored<OrderDocument> | undefined>;
  /** @throws ConflictError where the order exists */
  create: (document: OrderDocument) => Promise<void>;
  /** @throws ConflictError where the order has moved since it was loaded */
  save: (loaded: Stored<OrderDocument>, events: OrderEvent[]) => Promise<OrderDocument>;
}

const key = (orderId: string) => `order:${orderId}`;

/** Orders in this service's state store, one document each. */
export function orderStore(state: StateStore): OrderStore {
  return {
    load: (orderId) => state.get<OrderDocument>(key(orderId)),
    create: (document) => state.write({ op: 'put', key: key(document.order_id), value: document }),
    async save({ value, etag }, events) {
      const document = { ...value, events };
      await state.write({ op: 'put', key: key(value.order_id), value: document, etag });
      return document;
    },
  };
}
