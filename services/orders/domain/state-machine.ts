/** The statuses of an order. */
export const ORDER_STATUSES = [
  'PENDING',
  'RESERVED',
  'PAID',
  'SHIPPED',
  'DELIVERED',
  'REJECTED',
  'PAYMENT_FAILED',
  'CANCELLED',
  'EXPIRED',
] as const;
export type OrderStatus = (typeof ORDER_STATUSES)[number];

interface EventRule {
  /** The status after the event. Without one, the status stays. */
  status?: OrderStatus;
  /** Other services undo something when they receive the event, such as a reservation or a charge. */
  compensates?: true;
}

/** The events of an order's stream. Every one of them is published. */
export const EVENTS = keyed({
  'order.created': { status: 'PENDING' },
  'payment.requested': { status: 'RESERVED' },
  'order.paid': { status: 'PAID' },
  'order.payment_failed': { status: 'PAYMENT_FAILED', compensates: true },
  'order.rejected': { status: 'REJECTED' },
  'order.shipped': { status: 'SHIPPED' },
  'order.delivered': { status: 'DELIVERED' },
  'order.cancelled': { status: 'CANCELLED', compensates: true },
  'order.expired': { status: 'EXPIRED', compensates: true },
  'order.refunded': {},
});
export type OrderEventType = keyof typeof EVENTS;
export const ORDER_EVENT_TYPES = Object.keys(EVENTS) as OrderEventType[];

/** The data of the events that triggers append. */
interface EventData {
  'payment.requested': Record<string, never>;
  'order.paid': { payment_id: string };
  'order.payment_failed': { reason: string };
  'order.rejected': { reason: string };
  'order.shipped': { tracking_number?: string };
  'order.delivered': Record<string, never>;
  'order.cancelled': { reason: string };
  'order.expired': { reason: string };
  'order.refunded': { refunded: number };
}

/** An event that a trigger appends to an order's stream. */
export type AppendedEvent = {
  [Type in keyof EventData]: { type: Type; data: EventData[Type] };
}[keyof EventData];

/** What a caller wants of an order. */
export type CommandTrigger =
  { type: 'cancel'; reason: string } | { type: 'mark-shipped' } | { type: 'mark-delivered' };

/** What can change an order: an event of another service, a command of a caller, or the payment deadline. */
export type Trigger =
  | { type: 'inventory.reserved' }
  | { type: 'inventory.rejected'; reason: string }
  | { type: 'payment.processed'; payment_id: string }
  | { type: 'payment.failed'; reason: string }
  | { type: 'payment.refunded'; refunded: number }
  | { type: 'shipment.dispatched'; tracking_number: string }
  | { type: 'shipment.delivered'; tracking_number: string; orderShippedReceived: boolean }
  | { type: 'shipment.stopped'; reason: string }
  | CommandTrigger
  | { type: 'payment-deadline-passed' };
export type TriggerType = Trigger['type'];

interface OrderState {
  status: OrderStatus;
  refunded?: number | undefined;
}

interface TransitionRule<OneTrigger> {
  /** Events of other services are redelivered until they are acknowledged. Commands and the deadline are not. */
  sentBy: 'inventory' | 'payments' | 'fulfilment' | 'caller' | 'watchdog';
  /** The statuses in which the trigger applies. In every other status it changes nothing. */
  from: readonly OrderStatus[];
  /** The event that the sender has received before. So it needs no republishing. */
  acknowledges?: OrderEventType;
  /** The trigger that this one may overtake. Where that one would apply, its event is appended first. */
  overtakes?: TriggerType;
  /** Tells a repeated trigger where the status does not. */
  appliedBefore?: (order: OrderState, trigger: OneTrigger) => boolean;
}

/** `appends` is the event that the trigger appends to the order's stream, `data` what it says. */
type Transition<OneTrigger> = {
  [Type in keyof EventData]: TransitionRule<OneTrigger> & {
    appends: Type;
    data: (trigger: OneTrigger) => EventData[Type];
  };
}[keyof EventData];

export const UNPAID: readonly OrderStatus[] = ['PENDING', 'RESERVED'];
/** An order that ended before it was shipped shows by its status that its money was given back. */
export const REFUNDABLE: readonly OrderStatus[] = ['SHIPPED', 'DELIVERED'];

const none = () => ({});
const reason = (trigger: { reason: string }) => ({ reason: trigger.reason });
const parcel = ({ tracking_number }: { tracking_number: string }) => ({ tracking_number });

/** The state machine of orders. Documents, lists of statuses and admission control derive from it. */
// prettier-ignore
export const TRANSITIONS: { readonly [Type in TriggerType]: Transition<Extract<Trigger, { type: Type }>> } = {
  'inventory.reserved':  { sentBy: 'inventory',  from: ['PENDING'], appends: 'payment.requested',    data: none,   acknowledges: 'order.created' },
  'inventory.rejected':  { sentBy: 'inventory',  from: ['PENDING'], appends: 'order.rejected',       data: reason, acknowledges: 'order.created' },
  'payment.processed':   { sentBy: 'payments',   from: UNPAID,      appends: 'order.paid',           data: ({ payment_id }) => ({ payment_id }),
                           acknowledges: 'payment.requested' },
  'payment.failed':      { sentBy: 'payments',   from: UNPAID,      appends: 'order.payment_failed', data: reason, acknowledges: 'payment.requested' },
  'payment.refunded':    { sentBy: 'payments',   from: REFUNDABLE,  appends: 'order.refunded',       data: ({ refunded }) => ({ refunded }),
                           appliedBefore: (order, { refunded }) => order.refunded === refunded },
  'shipment.dispatched': { sentBy: 'fulfilment', from: ['PAID'],    appends: 'order.shipped',        data: parcel, acknowledges: 'order.paid' },
  'shipment.delivered':  { sentBy: 'fulfilment', from: ['SHIPPED'], appends: 'order.delivered',      data: none,   acknowledges: 'order.shipped',
                           overtakes: 'shipment.dispatched' },
  // A paid order is cancelled by this one: only fulfilment knows whether the parcel has left.
  'shipment.stopped':    { sentBy: 'fulfilment', from: ['PAID'],    appends: 'order.cancelled',      data: reason },
  'cancel':              { sentBy: 'caller',     from: UNPAID,      appends: 'order.cancelled',      data: reason },
  'mark-shipped':        { sentBy: 'caller',     from: ['PAID'],    appends: 'order.shipped',        data: none },
  'mark-delivered':      { sentBy: 'caller',     from: ['SHIPPED'], appends: 'order.delivered',      data: none },
  'payment-deadline-passed': { sentBy: 'watchdog', from: UNPAID,    appends: 'order.expired',        data: () => ({ reason: 'not paid in time' }) },
};

export interface Decision {
  /** The events to append. Each is saved and published before the next. */
  append: AppendedEvent[];
  /** Publish the order's last event before appending: nothing proves that it was ever published. */
  publishLastFirst: boolean;
  /** The trigger was applied before. Publish its event again, in case a crash prevented that. */
  republishLast: boolean;
}

/** Decides what a trigger does to an order. A trigger that is delivered twice leads to the same order. */
export function decide(order: OrderState, lastEvent: OrderEventType, trigger: Trigger): Decision {
  const append = eventsFor(order, trigger);
  return {
    append,
    publishLastFirst: append.length > 0 && !acknowledges(trigger, lastEvent),
    republishLast: append.length === 0 && lastEvent === TRANSITIONS[trigger.type].appends,
  };
}

function eventsFor(order: OrderState, trigger: Trigger): AppendedEvent[] {
  const { from, overtakes, appliedBefore } = transition(trigger.type);
  if (overtakes && TRANSITIONS[overtakes].from.includes(order.status))
    return [eventOf(overtakes, trigger), eventOf(trigger.type, trigger)];
  if (!from.includes(order.status) || appliedBefore?.(order, trigger)) return [];
  return [eventOf(trigger.type, trigger)];
}

function eventOf(type: TriggerType, trigger: Trigger): AppendedEvent {
  const { appends, data } = transition(type);
  return { type: appends, data: data(trigger) } as AppendedEvent;
}

/** Its functions take the trigger of its row, or one that overtakes that and has the same data. */
const transition = (type: TriggerType) => TRANSITIONS[type] as Transition<Trigger>;

function acknowledges(trigger: Trigger, lastEvent: OrderEventType): boolean {
  if (trigger.type === 'shipment.delivered' && !trigger.orderShippedReceived) return false;
  return lastEvent === TRANSITIONS[trigger.type].acknowledges;
}

/** The status after an event; undefined if the event leaves it as it is. */
export function statusAfter(type: OrderEventType): OrderStatus | undefined {
  return EVENTS[type].status;
}

/** Keeps the keys of the table for the compiler. */
function keyed<const Key extends string>(rules: Record<Key, EventRule>): Readonly<Record<Key, EventRule>> {
  return rules;
}
