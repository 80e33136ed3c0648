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
  /** The customer gets an e-mail. */
  informsCustomer?: true;
}

/** The events of an order's stream. Every one of them is published. */
const EVENTS = {
  'order.created': { status: 'PENDING' },
  'payment.requested': { status: 'RESERVED' },
  'order.paid': { status: 'PAID', informsCustomer: true },
  'order.payment_failed': { status: 'PAYMENT_FAILED', informsCustomer: true, compensates: true },
  'order.rejected': { status: 'REJECTED', informsCustomer: true },
  'order.shipped': { status: 'SHIPPED', informsCustomer: true },
  'order.delivered': { status: 'DELIVERED' },
  'order.cancelled': { status: 'CANCELLED', informsCustomer: true, compensates: true },
  'order.expired': { status: 'EXPIRED', informsCustomer: true, compensates: true },
  'order.refunded': { informsCustomer: true },
  // `returns` informs the customer.
  'order.returned': {},
} as const satisfies Record<string, EventRule>;
export type OrderEventType = keyof typeof EVENTS;
export const EVENT_RULES: Readonly<Record<OrderEventType, EventRule>> = EVENTS;
export const ORDER_EVENT_TYPES = Object.keys(EVENTS) as OrderEventType[];

/** The events of which the customer is informed. */
export type CustomerEventType = {
  [Type in OrderEventType]: (typeof EVENTS)[Type] extends { informsCustomer: true } ? Type : never;
}[OrderEventType];
export const CUSTOMER_EVENT_TYPES = ORDER_EVENT_TYPES.filter(
  (type): type is CustomerEventType => EVENT_RULES[type].informsCustomer === true,
);

/** Lines that the customer has sent back. */
export interface OrderReturn {
  return_id: string;
  items: { product_id: string; quantity: number }[];
}

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
  'order.returned': OrderReturn & { refunded: number };
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
  | ({ type: 'return.refunded'; refunded: number } & OrderReturn)
  | { type: 'shipment.dispatched'; tracking_number: string }
  | { type: 'shipment.delivered'; tracking_number: string; orderShippedReceived: boolean }
  | { type: 'shipment.stopped'; reason: string }
  | CommandTrigger
  | { type: 'payment-deadline-passed' };
export type TriggerType = Trigger['type'];

interface OrderState {
  status: OrderStatus;
  refunded?: number | undefined;
  returned?: readonly OrderReturn[] | undefined;
}

interface TransitionRule<OneTrigger> {
  /** Events of other services are redelivered until they are acknowledged. Commands and the deadline are not. */
  sentBy: 'inventory' | 'payments' | 'fulfilment' | 'returns' | 'caller' | 'watchdog';
  /** The statuses in which the trigger applies. In every other status it changes nothing. */
  from: readonly OrderStatus[];
  /** The event that the sender has received. So it was published. */
  acknowledges?: OrderEventType;
  /** The trigger that this one may overtake. In the statuses of that trigger, its event is appended first. */
  overtakes?: TriggerType;
  /** Recognizes a repeated trigger that leaves the status as it is. */
  appliedBefore?: (order: OrderState, trigger: OneTrigger) => boolean;
}

/** `appends`: the event that the trigger appends to the order's stream. `data`: the data of that event. */
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
const payment = (trigger: { payment_id: string }) => ({ payment_id: trigger.payment_id });
const refund = (trigger: { refunded: number }) => ({ refunded: trigger.refunded });
const goods = ({ return_id, items, refunded }: OrderReturn & { refunded: number }) => ({
  return_id,
  items,
  refunded,
});
const parcel = (trigger: { tracking_number: string }) => ({ tracking_number: trigger.tracking_number });

/** The state machine of orders. Documents, sets of statuses and admission control derive from it. */
// prettier-ignore
export const TRANSITIONS: { readonly [Type in TriggerType]: Transition<Extract<Trigger, { type: Type }>> } = {
  'inventory.reserved':  { sentBy: 'inventory',  from: ['PENDING'], appends: 'payment.requested',    data: none,    acknowledges: 'order.created' },
  'inventory.rejected':  { sentBy: 'inventory',  from: ['PENDING'], appends: 'order.rejected',       data: reason,  acknowledges: 'order.created' },
  'payment.processed':   { sentBy: 'payments',   from: UNPAID,      appends: 'order.paid',           data: payment, acknowledges: 'payment.requested' },
  'payment.failed':      { sentBy: 'payments',   from: UNPAID,      appends: 'order.payment_failed', data: reason,  acknowledges: 'payment.requested' },
  'payment.refunded':    { sentBy: 'payments',   from: REFUNDABLE,  appends: 'order.refunded',       data: refund,  appliedBefore: isShown },
  'return.refunded':     { sentBy: 'returns',    from: REFUNDABLE,  appends: 'order.returned',       data: goods,   appliedBefore: isReturned },
  'shipment.dispatched': { sentBy: 'fulfilment', from: ['PAID'],    appends: 'order.shipped',        data: parcel,  acknowledges: 'order.paid' },
  'shipment.delivered':  { sentBy: 'fulfilment', from: ['SHIPPED'], appends: 'order.delivered',      data: none,    acknowledges: 'order.shipped',
                           overtakes: 'shipment.dispatched' },
  // This one cancels a paid order: only fulfilment knows whether the parcel has left.
  'shipment.stopped':    { sentBy: 'fulfilment', from: ['PAID'],    appends: 'order.cancelled',      data: reason },
  'cancel':              { sentBy: 'caller',     from: UNPAID,      appends: 'order.cancelled',      data: reason },
  'mark-shipped':        { sentBy: 'caller',     from: ['PAID'],    appends: 'order.shipped',        data: none },
  'mark-delivered':      { sentBy: 'caller',     from: ['SHIPPED'], appends: 'order.delivered',      data: none },
  'payment-deadline-passed':
                         { sentBy: 'watchdog',   from: UNPAID,      appends: 'order.expired',        data: () => ({ reason: 'not paid in time' }) },
};

function isShown(order: OrderState, { refunded }: { refunded: number }): boolean {
  return (order.refunded ?? 0) >= refunded;
}

function isReturned(order: OrderState, { return_id }: OrderReturn): boolean {
  return order.returned?.some((one) => one.return_id === return_id) ?? false;
}

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

/** The functions of a row take its trigger, or one that overtakes it and has the same data. */
const transition = (type: TriggerType) => TRANSITIONS[type] as Transition<Trigger>;

function acknowledges(trigger: Trigger, lastEvent: OrderEventType): boolean {
  if (trigger.type === 'shipment.delivered' && !trigger.orderShippedReceived) return false;
  return lastEvent === TRANSITIONS[trigger.type].acknowledges;
}

/** The status after an event; undefined if the event leaves it is. */
export function statusAfter(type: OrderEventType): OrderStatus | undefined {
  return EVENT_RULES[type].status;
}
