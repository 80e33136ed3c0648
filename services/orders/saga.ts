import type { Order, OrderEventType, OrderStatus } from './contract.ts';
import { isUnpaid, type NewEvent } from './order.ts';

/** Whatever can move an order: what other services say, what callers want, and the clock. */
export type Message =
  | { type: 'inventory.reserved' }
  | { type: 'inventory.rejected'; reason: string }
  | { type: 'payment.processed'; payment_id: string }
  | { type: 'payment.failed'; reason: string }
  | { type: 'payment.refunded'; refunded: number }
  | { type: 'shipment.dispatched'; tracking_number: string }
  | { type: 'shipment.delivered'; tracking_number: string; shippedHeard: boolean }
  | { type: 'shipment.stopped'; reason: string }
  | { type: 'cancel'; reason: string }
  | { type: 'ship by hand' }
  | { type: 'deliver by hand' }
  | { type: 'deadline passed' };

export interface Decision {
  /** To be appended to the stream and then said, one after the other. */
  events: NewEvent[];
  /**
   * The message was decided on before, and that decision is still the last word: say it again, for the crash that may
   * have come between writing and saying.
   */
  sayAgain: boolean;
  /** Nothing proves that the last event was ever said: say it before going on, so that nobody misses it. */
  sayFirst: boolean;
}

/** The event that a message always answers: who says this has heard of that. */
const ANSWERS: Partial<Record<Message['type'], OrderEventType>> = {
  'inventory.reserved': 'order.created',
  'inventory.rejected': 'order.created',
  'payment.processed': 'payment.requested',
  'payment.failed': 'payment.requested',
  'shipment.dispatched': 'order.paid',
};

const answers = (message: Message, last: OrderEventType): boolean =>
  last === ANSWERS[message.type] ||
  (message.type === 'shipment.delivered' && message.shippedHeard && last === 'order.shipped');

/** What each message leads to, when it comes in time. */
const LEADS_TO: Record<Message['type'], OrderEventType> = {
  'inventory.reserved': 'payment.requested',
  'inventory.rejected': 'order.rejected',
  'payment.processed': 'order.paid',
  'payment.failed': 'order.payment_failed',
  'payment.refunded': 'order.refunded',
  'shipment.dispatched': 'order.shipped',
  'shipment.delivered': 'order.delivered',
  'shipment.stopped': 'order.cancelled',
  cancel: 'order.cancelled',
  'ship by hand': 'order.shipped',
  'deliver by hand': 'order.delivered',
  'deadline passed': 'order.expired',
};

/**
 * The saga: what follows from a message for an order whose last event is `last`. Total over every status and message,
 * and the same for a message that comes twice.
 */
export function decide(order: Order, last: OrderEventType, message: Message): Decision {
  const events = follow(order, message);
  return {
    events,
    sayAgain: events.length === 0 && last === LEADS_TO[message.type],
    sayFirst: events.length > 0 && !answers(message, last),
  };
}

function follow(order: Order, message: Message): NewEvent[] {
  const { status } = order;
  const unpaid = isUnpaid(order);
  switch (message.type) {
    case 'inventory.reserved':
      return status === 'PENDING' ? [{ type: 'payment.requested', data: {} }] : [];
    case 'inventory.rejected':
      return status === 'PENDING' ? [{ type: 'order.rejected', data: { reason: message.reason } }] : [];
    case 'payment.processed':
      return unpaid ? [{ type: 'order.paid', data: { payment_id: message.payment_id } }] : [];
    case 'payment.failed':
      return unpaid ? [{ type: 'order.payment_failed', data: { reason: message.reason } }] : [];
    case 'payment.refunded': {
      // An order that ended before it was shipped says so by its status.
      const isTold = order.refunded === message.refunded;
      const wasShipped = status === 'SHIPPED' || status === 'DELIVERED';
      return wasShipped && !isTold ? [{ type: 'order.refunded', data: { refunded: message.refunded } }] : [];
    }
    case 'shipment.dispatched':
      return status === 'PAID' ? [shipped(message.tracking_number)] : [];
    case 'shipment.delivered':
      // Before shipment.dispatched, when that one is late: the order then ships and arrives at once.
      if (status === 'PAID') return [shipped(message.tracking_number), delivered];
      return status === 'SHIPPED' ? [delivered] : [];
    case 'shipment.stopped':
      return status === 'PAID' ? [{ type: 'order.cancelled', data: { reason: message.reason } }] : [];
    case 'cancel':
      // A paid order is cancelled by shipment.stopped: only fulfilment knows whether the parcel has left.
      return unpaid ? [{ type: 'order.cancelled', data: { reason: message.reason } }] : [];
    case 'ship by hand':
      return status === 'PAID' ? [{ type: 'order.shipped', data: {} }] : [];
    case 'deliver by hand':
      return status === 'SHIPPED' ? [delivered] : [];
    case 'deadline passed':
      return unpaid ? [{ type: 'order.expired', data: { reason: 'not paid in time' } }] : [];
  }
}

const shipped = (tracking_number: string): NewEvent => ({ type: 'order.shipped', data: { tracking_number } });
const delivered: NewEvent = { type: 'order.delivered', data: {} };

/** How an administrator may bring an order into a status; what is not here, the rules do not allow. */
export const BY_HAND: Partial<Record<OrderStatus, Message>> = {
  SHIPPED: { type: 'ship by hand' },
  DELIVERED: { type: 'deliver by hand' },
  CANCELLED: { type: 'cancel', reason: 'cancelled by the shop' },
};

/** No order is left alone for longer. Milliseconds. */
const LONGEST_PAUSE = 5 * 60_000;

/**
 * How long the durable job leaves an unfinished order alone, in milliseconds: longer each time, so that a backlog is not
 * fed by its own repetitions, but not beyond the deadline of an order that is not paid.
 *
 * @param since milliseconds since the order's last event, by clocks that may be wrong, and for how long it has been watched,
 *   which bounds what a wrong one does
 */
export function pauseBeforeNextLook(
  status: OrderStatus,
  since: { lastEvent: number; watched: number },
  settings: { recheckMs: number; expireMs: number },
): number {
  const idle = Math.min(since.lastEvent, since.watched);
  const growing = Math.min(Math.max(settings.recheckMs, 2 * idle), LONGEST_PAUSE);
  if (!isUnpaid({ status })) return growing;
  return Math.max(Math.min(growing, settings.expireMs - since.watched), 1_000);
}
