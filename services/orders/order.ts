import {
  ERASED_REASON,
  FINAL_STATUSES,
  type Order,
  type OrderEventType,
  type OrderLine,
  type OrderStatus,
} from './contract.ts';

/** What is to be added to an order's stream. */
export type NewEvent =
  | { type: 'order.created'; data: OrderCreated }
  | { type: 'payment.requested'; data: Record<string, never> }
  | { type: 'order.paid'; data: { payment_id: string } }
  | { type: 'order.shipped'; data: { tracking_number?: string } }
  | { type: 'order.delivered'; data: Record<string, never> }
  | { type: 'order.refunded'; data: { refunded: number } }
  | {
      type: 'order.rejected' | 'order.payment_failed' | 'order.cancelled' | 'order.expired';
      data: { reason: string };
    };

export interface OrderCreated {
  customer_id: string;
  items: OrderLine[];
  total: number;
  currency: string;
}

/** An event in the stream. Versions count from 1 without gaps. */
export type OrderEvent = NewEvent & { version: number; time: string };

/** A refund leaves the order in its status. */
const STATUS_AFTER: Record<Exclude<OrderEventType, 'order.refunded'>, OrderStatus> = {
  'order.created': 'PENDING',
  'payment.requested': 'RESERVED',
  'order.paid': 'PAID',
  'order.shipped': 'SHIPPED',
  'order.delivered': 'DELIVERED',
  'order.rejected': 'REJECTED',
  'order.payment_failed': 'PAYMENT_FAILED',
  'order.cancelled': 'CANCELLED',
  'order.expired': 'EXPIRED',
};

/** Whether the order is still to be paid. */
export function isUnpaid({ status }: Pick<Order, 'status'>): boolean {
  return status === 'PENDING' || status === 'RESERVED';
}

/** Whether nothing will happen to the order any more. */
export function isFinal(order: Order): boolean {
  return FINAL_STATUSES.has(order.status);
}

/**
 * The order that these events tell of.
 *
 * @throws Error where the stream does not begin with `order.created`
 */
export function replay(orderId: string, events: readonly OrderEvent[]): Order {
  const [created, ...rest] = events;
  if (created?.type !== 'order.created') throw new Error(`the stream of order ${orderId} has no beginning`);
  const first: Order = {
    order_id: orderId,
    ...created.data,
    status: 'PENDING',
    version: created.version,
    created_at: created.time,
    updated_at: created.time,
  };
  return rest.reduce(apply, first);
}

function apply(order: Order, event: OrderEvent): Order {
  const { reason, tracking_number, refunded } = event.data as Pick<
    Order,
    'reason' | 'tracking_number' | 'refunded'
  >;
  return {
    ...order,
    ...(reason === undefined ? {} : { reason }),
    ...(tracking_number === undefined ? {} : { tracking_number }),
    ...(refunded === undefined ? {} : { refunded }),
    status: event.type === 'order.refunded' ? order.status : STATUS_AFTER[event.type],
    version: event.version,
    updated_at: event.time,
  };
}

/** The stream without what somebody wrote; the same one where nobody did. */
export function withoutFreeText(events: OrderEvent[]): OrderEvent[] {
  const isFree = (event: OrderEvent) =>
    event.type === 'order.cancelled' && event.data.reason !== ERASED_REASON;
  if (!events.some(isFree)) return events;
  return events.map((event) =>
    event.type === 'order.cancelled' ? { ...event, data: { reason: ERASED_REASON } } : event,
  );
}

/** Puts new events at the end of a stream. */
export function append(
  events: readonly OrderEvent[],
  added: readonly NewEvent[],
  time: string,
): OrderEvent[] {
  return [
    ...events,
    ...added.map((event, position) => ({ ...event, version: events.length + position + 1, time })),
  ];
}
