import { describe, expect, it } from 'vitest';
import { statusEvent } from '../../services/fulfilment/domain/shipment.ts';
import { decide as decideOnShipment } from '../../services/fulfilment/domain/state-machine.ts';
import {
  orderEventType,
  orderStatus,
  type OrderEventType,
  type OrderStatus,
} from '../../services/orders/contract.ts';
import { append, replay, type NewEvent, type OrderEvent } from '../../services/orders/domain/order.ts';
import { nextCheckDelay } from '../../services/orders/domain/check-delay.ts';
import { decide, type Trigger } from '../../services/orders/domain/state-machine.ts';

const TIME = '2026-01-01T00:00:00.000Z';
const ID = '0193b2a0-0000-7000-8000-000000000001';

const created: NewEvent = {
  type: 'order.created',
  data: { customer_id: ID, items: [], total: 100, currency: 'EUR' },
};
const requested: NewEvent = { type: 'payment.requested', data: {} };
const paid: NewEvent = { type: 'order.paid', data: { payment_id: 'p' } };
const shipped: NewEvent = { type: 'order.shipped', data: { tracking_number: 't' } };

/** A stream that ends in each status. */
const STREAMS: Record<OrderStatus, NewEvent[]> = {
  PENDING: [created],
  RESERVED: [created, requested],
  PAID: [created, requested, paid],
  SHIPPED: [created, requested, paid, shipped],
  DELIVERED: [created, requested, paid, shipped, { type: 'order.delivered', data: {} }],
  REJECTED: [created, { type: 'order.rejected', data: { reason: 'r' } }],
  PAYMENT_FAILED: [created, requested, { type: 'order.payment_failed', data: { reason: 'r' } }],
  CANCELLED: [created, requested, { type: 'order.cancelled', data: { reason: 'r' } }],
  EXPIRED: [created, requested, { type: 'order.expired', data: { reason: 'r' } }],
};

const TRIGGERS: Trigger[] = [
  { type: 'inventory.reserved' },
  { type: 'inventory.rejected', reason: 'r' },
  { type: 'payment.processed', payment_id: 'p' },
  { type: 'payment.failed', reason: 'r' },
  { type: 'payment.refunded', refunded: 100 },
  { type: 'shipment.dispatched', tracking_number: 't' },
  { type: 'shipment.delivered', tracking_number: 't', orderShippedReceived: false },
  { type: 'shipment.stopped', reason: 'r' },
  { type: 'cancel', reason: 'r' },
  { type: 'mark-shipped' },
  { type: 'mark-delivered' },
  { type: 'payment-deadline-passed' },
];

/** Where each message takes an order; what is not here leaves it is. */
const MOVES: Partial<Record<OrderStatus, Partial<Record<Trigger['type'], OrderStatus>>>> = {
  PENDING: {
    'inventory.reserved': 'RESERVED',
    'inventory.rejected': 'REJECTED',
    'payment.processed': 'PAID',
    'payment.failed': 'PAYMENT_FAILED',
    cancel: 'CANCELLED',
    'payment-deadline-passed': 'EXPIRED',
  },
  RESERVED: {
    'payment.processed': 'PAID',
    'payment.failed': 'PAYMENT_FAILED',
    cancel: 'CANCELLED',
    'payment-deadline-passed': 'EXPIRED',
  },
  PAID: {
    'shipment.dispatched': 'SHIPPED',
    'shipment.delivered': 'DELIVERED',
    'shipment.stopped': 'CANCELLED',
    'mark-shipped': 'SHIPPED',
  },
  SHIPPED: { 'shipment.delivered': 'DELIVERED', 'mark-delivered': 'DELIVERED' },
};

/** Messages whose own decision an order in this status has as its last word. */
const REPUBLISHED: Record<OrderStatus, Trigger['type'][]> = {
  PENDING: [],
  RESERVED: ['inventory.reserved'],
  PAID: ['payment.processed'],
  SHIPPED: ['shipment.dispatched', 'mark-shipped'],
  DELIVERED: ['shipment.delivered', 'mark-delivered'],
  REJECTED: ['inventory.rejected'],
  PAYMENT_FAILED: ['payment.failed'],
  CANCELLED: ['shipment.stopped', 'cancel'],
  EXPIRED: ['payment-deadline-passed'],
};

const stream = (status: OrderStatus): OrderEvent[] => append([], STREAMS[status], TIME);
const typeOfLast = (events: OrderEvent[]): OrderEventType => events.at(-1)!.type;

function move(events: OrderEvent[], message: Trigger): { events: OrderEvent[]; republishLast: boolean } {
  const decision = decide(replay(ID, events), typeOfLast(events), message);
  return { events: append(events, decision.append, TIME), republishLast: decision.republishLast };
}

const cases = orderStatus.options.flatMap((status) => TRIGGERS.map((message) => ({ status, message })));

describe('the saga', () => {
  it.each(cases)(
    'When $message.type comes in $status, then it moves as the table says',
    ({ status, message }) => {
      const after = replay(ID, move(stream(status), message).events);
      expect(after.status).toBe(MOVES[status]?.[message.type] ?? status);
    },
  );

  it.each(cases)(
    'When $message.type comes twice in $status, then the second changes nothing',
    ({ status, message }) => {
      const once = move(stream(status), message);
      const twice = move(once.events, message);
      expect(twice.events).toEqual(once.events);
      const changed = once.events.length > stream(status).length;
      expect(twice.republishLast).toBe(changed || once.republishLast);
    },
  );

  it.each(cases)(
    'When $message.type was the last word in $status, then it is said again',
    ({ status, message }) => {
      const { republishLast } = move(stream(status), message);
      expect(republishLast).toBe(REPUBLISHED[status].includes(message.type));
    },
  );

  /** What was last said where each of these messages follows from it. */
  const FOLLOWS: Partial<Record<Trigger['type'], OrderStatus>> = {
    'inventory.reserved': 'PENDING',
    'inventory.rejected': 'PENDING',
    'payment.processed': 'RESERVED',
    'payment.failed': 'RESERVED',
    'shipment.dispatched': 'PAID',
  };

  it.each(cases)(
    'When $message.type changes an order that is $status, then its last event is said first unless the message answers it',
    ({ status, message }) => {
      const events = stream(status);
      const decision = decide(replay(ID, events), typeOfLast(events), message);
      expect(decision.publishLastFirst).toBe(decision.append.length > 0 && FOLLOWS[message.type] !== status);
    },
  );

  it('When who delivered has heard that the order was shipped, then that is not said first', () => {
    const delivered: Trigger = {
      type: 'shipment.delivered',
      tracking_number: 't',
      orderShippedReceived: true,
    };
    const publishLastFirst = (status: OrderStatus) =>
      decide(replay(ID, stream(status)), typeOfLast(stream(status)), delivered).publishLastFirst;
    expect([publishLastFirst('SHIPPED'), publishLastFirst('PAID')]).toEqual([false, true]);
  });

  /** The event that each message appends, in the statuses of MOVES. */
  const APPENDS: Record<Trigger['type'], OrderEventType> = {
    'inventory.reserved': 'payment.requested',
    'inventory.rejected': 'order.rejected',
    'payment.processed': 'order.paid',
    'payment.failed': 'order.payment_failed',
    'payment.refunded': 'order.refunded',
    'shipment.dispatched': 'order.shipped',
    'shipment.delivered': 'order.delivered',
    'shipment.stopped': 'order.cancelled',
    cancel: 'order.cancelled',
    'mark-shipped': 'order.shipped',
    'mark-delivered': 'order.delivered',
    'payment-deadline-passed': 'order.expired',
  };
  /** The last event that a message proves to be published. */
  const PROVES: Partial<Record<Trigger['type'], OrderEventType>> = {
    'inventory.reserved': 'order.created',
    'inventory.rejected': 'order.created',
    'payment.processed': 'payment.requested',
    'payment.failed': 'payment.requested',
    'shipment.dispatched': 'order.paid',
  };
  const messages: (Trigger & { proves?: OrderEventType })[] = [
    ...TRIGGERS.map((message) => ({ ...message, proves: PROVES[message.type] as OrderEventType })),
    { type: 'shipment.delivered', tracking_number: 't', orderShippedReceived: true, proves: 'order.shipped' },
  ];
  const combinations = orderStatus.options.flatMap((status) =>
    orderEventType.options.flatMap((last) => messages.map((message) => ({ status, last, message }))),
  );

  it('When any message comes in any status after any last event, then what follows depends on these alone', () => {
    for (const { status, last, message } of combinations) {
      const { type, proves } = message;
      const isMoved = MOVES[status]?.[type] !== undefined;
      const isRefunded = type === 'payment.refunded' && (status === 'SHIPPED' || status === 'DELIVERED');
      const isLate = type === 'shipment.delivered' && status === 'PAID';
      const appended = isMoved || isRefunded ? [...(isLate ? ['order.shipped'] : []), APPENDS[type]] : [];
      const { append: events, ...rest } = decide(replay(ID, stream(status)), last, message);
      expect({ status, last, type, appended: events.map((event) => event.type), ...rest }).toEqual({
        status,
        last,
        type,
        appended,
        republishLast: appended.length === 0 && last === APPENDS[type],
        publishLastFirst: appended.length > 0 && last !== proves,
      });
    }
    expect(combinations).toHaveLength(9 * 10 * 13);
  });

  const messagePairs = TRIGGERS.flatMap((first) => TRIGGERS.map((second) => [first, second] as const));

  it.each(orderStatus.options)(
    'When any two messages come in %s, then versions count on without a gap',
    (status) => {
      for (const [first, second] of messagePairs) {
        const { events } = move(move(stream(status), first).events, second);
        expect(events.map((event) => event.version)).toEqual(events.map((_, position) => position + 1));
      }
    },
  );

  const story: Trigger[] = [
    { type: 'inventory.reserved' },
    { type: 'payment.processed', payment_id: 'p' },
    { type: 'shipment.dispatched', tracking_number: 't' },
    { type: 'shipment.delivered', tracking_number: 't', orderShippedReceived: false },
  ];

  it('When the messages of an order come in any order and are delivered until heard, then it is delivered', () => {
    for (const order of permutations(story)) {
      let events = stream('PENDING');
      for (let round = 0; round < story.length; round++)
        for (const message of order) events = move(events, message).events;
      expect(replay(ID, events).status).toBe('DELIVERED');
    }
  });

  it('When an order is final, then no message changes it but the refund of one that is delivered', () => {
    for (const status of ['DELIVERED', 'REJECTED', 'PAYMENT_FAILED', 'CANCELLED', 'EXPIRED'] as const)
      for (const message of TRIGGERS.filter(
        ({ type }) => status !== 'DELIVERED' || type !== 'payment.refunded',
      ))
        expect(move(stream(status), message).events).toEqual(stream(status));
  });

  it.each(orderStatus.options)(
    'When an order that is %s is refunded, then it shows that if it was shipped',
    (status) => {
      const { events } = move(stream(status), { type: 'payment.refunded', refunded: 100 });
      const order = replay(ID, events);
      const wasShipped = status === 'SHIPPED' || status === 'DELIVERED';
      expect([order.status, order.refunded]).toEqual([status, wasShipped ? 100 : undefined]);
      expect(order.version).toBe(stream(status).length + (wasShipped ? 1 : 0));
    },
  );

  it('When more is given back later, then that is another event', () => {
    const once = move(stream('DELIVERED'), { type: 'payment.refunded', refunded: 60 });
    const twice = move(once.events, { type: 'payment.refunded', refunded: 100 });
    expect(replay(ID, twice.events)).toMatchObject({ refunded: 100, version: 7 });
  });

  it('When an order is refunded on its way, then it is delivered all the same and still shows it', () => {
    const refunded = move(stream('SHIPPED'), { type: 'payment.refunded', refunded: 100 });
    const delivered = move(refunded.events, {
      type: 'shipment.delivered',
      tracking_number: 't',
      orderShippedReceived: true,
    });
    expect(replay(ID, delivered.events)).toMatchObject({ status: 'DELIVERED', refunded: 100, version: 6 });
  });
});

describe('orders and fulfilment, answering each other', () => {
  /** What was said of the shipment and of the order, and how either answers to it. */
  const TO_ORDERS: Record<string, Trigger> = {
    'shipment.dispatched': { type: 'shipment.dispatched', tracking_number: 't' },
    'shipment.delivered': { type: 'shipment.delivered', tracking_number: 't', orderShippedReceived: false },
  };
  const parcel = { order_id: ID, status: 'DELIVERED', tracking_number: 't', updated_at: TIME } as const;

  it.each(['order.paid', 'order.shipped', 'shipment.dispatched', 'shipment.delivered'])(
    'When %s comes once more, long after the end, then what follows from it comes to an end, too',
    (first) => {
      const events = stream('DELIVERED');
      const heard: string[] = [];
      for (const said = [first]; said.length > 0 && heard.length < 20;) {
        const type = said.shift()!;
        heard.push(type);
        if (type === 'order.paid' || type === 'order.shipped') {
          if (decideOnShipment('DELIVERED', type, true)?.publish) said.push(statusEvent(parcel, false)!.type);
        } else if (TO_ORDERS[type] && move(events, TO_ORDERS[type]).republishLast)
          said.push(typeOfLast(events));
      }
      expect(heard.length).toBeLessThan(5);
    },
  );
});

describe('the pause before the next look', () => {
  const settings = { watchdogIntervalMs: 15_000, paymentDeadlineMs: 900_000 };
  it.each([
    ['PENDING', 0, 0, 15_000],
    ['PENDING', 15_000, 15_000, 30_000],
    ['RESERVED', 45_000, 50_000, 90_000],
    ['RESERVED', 400_000, 850_000, 50_000],
    ['RESERVED', 100, 950_000, 1_000],
    ['PAID', 10_000, 950_000, 20_000],
    ['SHIPPED', 86_400_000, 86_500_000, 300_000],
    // By a clock that is an hour behind, and by one that is an hour ahead.
    ['PENDING', -3_600_000, 15_000, 15_000],
    ['PENDING', 3_600_000, 15_000, 30_000],
    ['PAID', 3_600_000, 15_000, 30_000],
  ] as const)('When %s since %s ms, watched for %s ms, then %s ms', (status, lastEvent, watched, pause) => {
    expect(nextCheckDelay(status, { lastEvent, watched }, settings)).toBe(pause);
  });
});

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, position) =>
    permutations(items.filter((_, other) => other !== position)).map((rest) => [item, ...rest]),
  );
}
