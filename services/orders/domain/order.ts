import { ERASED_REASON, type Order, type OrderLine } from '../contract.ts';
import { statusAfter, type AppendedEvent, type OrderReturn } from './state-machine.ts';
import { FINAL_STATUSES, UNPAID_STATUSES } from './statuses.ts';

/** An event that is not in an order's stream yet. */
export type NewEvent = { type: 'order.created'; data: OrderCreated } | AppendedEvent;

export interface OrderCreated {
  customer_id: string;
  items: OrderLine[];
  total: number;
  currency: string;
}

/** An event in the stream. Versions count from 1 without gaps. */
export type OrderEvent = NewEvent & { version: number; time: string };

/** Whether the order can still be paid. */
export function isUnpaid({ status }: Pick<Order, 'status'>): boolean {
  return UNPAID_STATUSES.has(status);
}

/** Whether no trigger changes the order's status any more. */
export function isFinal({ status }: Pick<Order, 'status'>): boolean {
  return FINAL_STATUSES.has(status);
}

/**
 * The order after these events.
 *
 * @throws Error if the stream does not begin with `order.created`
 */
export function replay(orderId: string, events: readonly OrderEvent[]): Order {
  const [created, ...rest] = events;
  if (created?.type !== 'order.created')
    throw new Error(`the stream of order ${orderId} does not begin with order.created`);
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
  const { refunded: refundedBefore = 0, returned = [] } = order;
  return {
    ...order,
    ...(reason === undefined ? {} : { reason }),
    ...(tracking_number === undefined ? {} : { tracking_number }),
    // The events of two returns may arrive in any order. Each has the total after it.
    ...(refunded === undefined ? {} : { refunded: Math.max(refunded, refundedBefore) }),
    ...(event.type === 'order.returned' ? { returned: [...returned, returnOf(event.data)] } : {}),
    ...(event.type === 'order.delivered' ? { delivered_at: event.time } : {}),
    status: statusAfter(event.type) ?? order.status,
    version: event.version,
    updated_at: event.time,
  };
}

const returnOf = ({ return_id, items }: OrderReturn): OrderReturn => ({ return_id, items });

/** The time at which an order with this stream entered its status. */
export function statusEnteredAt(events: readonly OrderEvent[]): string {
  return events.findLast(({ type }) => statusAfter(type) !== undefined)?.time ?? '';
}

/** The stream without texts that customers wrote. It is the same array if there are none. */
export function withoutFreeText(events: OrderEvent[]): OrderEvent[] {
  const hasFreeText = (event: OrderEvent) =>
    event.type === 'order.cancelled' && event.data.reason !== ERASED_REASON;
  if (!events.some(hasFreeText)) return events;
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
