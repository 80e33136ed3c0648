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
import { ONE_TRIGGER_PER_TYPE } from '../support/orders.ts';

const TIME = '2026-01-01T00:00:00.000Z';
const ID = '0193b2a0-0000-7000-8000-000000000001';

const created: NewEvent = {
  type: 'order.created',
  data: { customer_id: ID, items: [], total: 100, currency: 'EUR' },
};
const requested: NewEvent = { type: 'payment.requested', data: {} };
const paid: NewEvent = { type: 'order.paid', data: { payment_id: 'p' } };
const shipped: NewEvent = { type: 'order.shipped', data: { tracking_number: 't' } };

/** For each status, a stream that leads to it. */
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

/** The transitions of each status. Other triggers change nothing. */
const TRANSITIONS: Partial<Record<OrderStatus, Partial<Record<Trigger['type'], OrderStatus>>>> = {
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

/** The triggers that led to each status, so that a repetition republishes its event. */
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

/** The triggers that change a delivered order, without its status. */
const REFUNDS: ReadonlySet<Trigger['type']> = new Set(['payment.refunded', 'return.refunded']);

const cases = orderStatus.options.flatMap((status) =>
  ONE_TRIGGER_PER_TYPE.map((message) => ({ status, message })),
);

describe('the saga', () => {
  it.each(cases)(
    'When $message.type arrives in $status, then the transition is that of the table',
    ({ status, message }) => {
      const after = replay(ID, move(stream(status), message).events);
      expect(after.status).toBe(TRANSITIONS[status]?.[message.type] ?? status);
    },
  );

  it.each(cases)(
    'When $message.type is repeated in $status, then the second one changes nothing',
    ({ status, message }) => {
      const first = move(stream(status), message);
      const second = move(first.events, message);
      expect(second.events).toEqual(first.events);
      const changed = first.events.length > stream(status).length;
      expect(second.republishLast).toBe(changed || first.republishLast);
    },
  );

  it.each(cases)(
    'When $message.type was the last trigger in $status, then its event is republished',
    ({ status, message }) => {
      const { republishLast } = move(stream(status), message);
      expect(republishLast).toBe(REPUBLISHED[status].includes(message.type));
    },
  );

  /** The last event that each of these triggers follows from. */
  const FOLLOWS: Partial<Record<Trigger['type'], OrderStatus>> = {
    'inventory.reserved': 'PENDING',
    'inventory.rejected': 'PENDING',
    'payment.processed': 'RESERVED',
    'payment.failed': 'RESERVED',
    'shipment.dispatched': 'PAID',
  };

  it.each(cases)(
    'When $message.type changes an order that is $status, then its last event is republished unless the trigger acknowledges it',
    ({ status, message }) => {
      const events = stream(status);
      const decision = decide(replay(ID, events), typeOfLast(events), message);
      expect(decision.publishLastFirst).toBe(decision.append.length > 0 && FOLLOWS[message.type] !== status);
    },
  );

  it('When fulfilment has received order.shipped, then it is not republished', () => {
    const delivered: Trigger = {
      type: 'shipment.delivered',
      tracking_number: 't',
      orderShippedReceived: true,
    };
    const publishLastFirst = (status: OrderStatus) =>
      decide(replay(ID, stream(status)), typeOfLast(stream(status)), delivered).publishLastFirst;
    expect([publishLastFirst('SHIPPED'), publishLastFirst('PAID')]).toEqual([false, true]);
  });

  /** The event that each trigger appends, in the statuses of TRANSITIONS. */
  const APPENDS: Record<Trigger['type'], OrderEventType> = {
    'inventory.reserved': 'payment.requested',
    'inventory.rejected': 'order.rejected',
    'payment.processed': 'order.paid',
    'payment.failed': 'order.payment_failed',
    'payment.refunded': 'order.refunded',
    'return.refunded': 'order.returned',
    'shipment.dispatched': 'order.shipped',
    'shipment.delivered': 'order.delivered',
    'shipment.stopped': 'order.cancelled',
    cancel: 'order.cancelled',
    'mark-shipped': 'order.shipped',
    'mark-delivered': 'order.delivered',
    'payment-deadline-passed': 'order.expired',
  };
  /** The last event that a trigger proves to be published. */
  const PROVES: Partial<Record<Trigger['type'], OrderEventType>> = {
    'inventory.reserved': 'order.created',
    'inventory.rejected': 'order.created',
    'payment.processed': 'payment.requested',
    'payment.failed': 'payment.requested',
    'shipment.dispatched': 'order.paid',
  };
  const messages: (Trigger & { proves?: OrderEventType })[] = [
    ...ONE_TRIGGER_PER_TYPE.map((message) => ({
      ...message,
      proves: PROVES[message.type] as OrderEventType,
    })),
    { type: 'shipment.delivered', tracking_number: 't', orderShippedReceived: true, proves: 'order.shipped' },
  ];
  const combinations = orderStatus.options.flatMap((status) =>
    orderEventType.options.flatMap((last) => messages.map((message) => ({ status, last, message }))),
  );

  it('When any trigger meets any status and any last event, then the decision depends on these alone', () => {
    for (const { status, last, message } of combinations) {
      const { type, proves } = message;
      const isTransition = TRANSITIONS[status]?.[type] !== undefined;
      const isRefunded = REFUNDS.has(type) && (status === 'SHIPPED' || status === 'DELIVERED');
      const isOutOfOrder = type === 'shipment.delivered' && status === 'PAID';
      const appended =
        isTransition || isRefunded ? [...(isOutOfOrder ? ['order.shipped'] : []), APPENDS[type]] : [];
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
    expect(combinations).toHaveLength(9 * 11 * 14);
  });

  const messagePairs = ONE_TRIGGER_PER_TYPE.flatMap((first) =>
    ONE_TRIGGER_PER_TYPE.map((second) => [first, second] as const),
  );

  it.each(orderStatus.options)('When any two triggers arrive in %s, then versions have no gap', (status) => {
    for (const [first, second] of messagePairs) {
      const { events } = move(move(stream(status), first).events, second);
      expect(events.map((event) => event.version)).toEqual(events.map((_, position) => position + 1));
    }
  });

  const story: Trigger[] = [
    { type: 'inventory.reserved' },
    { type: 'payment.processed', payment_id: 'p' },
    { type: 'shipment.dispatched', tracking_number: 't' },
    { type: 'shipment.delivered', tracking_number: 't', orderShippedReceived: false },
  ];

  it('When the messages of an order arrive in any order until acknowledged, then the order is delivered', () => {
    for (const order of permutations(story)) {
      let events = stream('PENDING');
      for (let round = 0; round < story.length; round++)
        for (const message of order) events = move(events, message).events;
      expect(replay(ID, events).status).toBe('DELIVERED');
    }
  });

  it('When an order is final, then only a refund or return of a delivered one changes it', () => {
    for (const status of ['DELIVERED', 'REJECTED', 'PAYMENT_FAILED', 'CANCELLED', 'EXPIRED'] as const)
      for (const message of ONE_TRIGGER_PER_TYPE.filter(
        ({ type }) => status !== 'DELIVERED' || !REFUNDS.has(type),
      ))
        expect(move(stream(status), message).events).toEqual(stream(status));
  });

  it.each(orderStatus.options)(
    'When an order that is %s is refunded, then the order shows that if it was shipped',
    (status) => {
      const { events } = move(stream(status), { type: 'payment.refunded', refunded: 100 });
      const order = replay(ID, events);
      const wasShipped = status === 'SHIPPED' || status === 'DELIVERED';
      expect([order.status, order.refunded]).toEqual([status, wasShipped ? 100 : undefined]);
      expect(order.version).toBe(stream(status).length + (wasShipped ? 1 : 0));
    },
  );

  it('When more is refunded later, then that is another event', () => {
    const first = move(stream('DELIVERED'), { type: 'payment.refunded', refunded: 60 });
    const second = move(first.events, { type: 'payment.refunded', refunded: 100 });
    expect(replay(ID, second.events)).toMatchObject({ refunded: 100, version: 7 });
  });

  it('When an order is refunded in transit, then it is still delivered and shows the refund', () => {
    const refunded = move(stream('SHIPPED'), { type: 'payment.refunded', refunded: 100 });
    const delivered = move(refunded.events, {
      type: 'shipment.delivered',
      tracking_number: 't',
      orderShippedReceived: true,
    });
    expect(replay(ID, delivered.events)).toMatchObject({ status: 'DELIVERED', refunded: 100, version: 6 });
  });
});

describe('orders and fulfilment together', () => {
  /** The messages between shipment and order, with the response of each side. */
  const TO_ORDERS: Record<string, Trigger> = {
    'shipment.dispatched': { type: 'shipment.dispatched', tracking_number: 't' },
    'shipment.delivered': { type: 'shipment.delivered', tracking_number: 't', orderShippedReceived: false },
  };
  const parcel = { order_id: ID, status: 'DELIVERED', tracking_number: 't', updated_at: TIME } as const;

  it.each(['order.paid', 'order.shipped', 'shipment.dispatched', 'shipment.delivered'])(
    'When %s is redelivered long after the end, then the resulting messages end, too',
    (first) => {
      const events = stream('DELIVERED');
      const received: string[] = [];
      for (const queue = [first]; queue.length > 0 && received.length < 20;) {
        const type = queue.shift()!;
        received.push(type);
        if (type === 'order.paid' || type === 'order.shipped') {
          if (decideOnShipment('DELIVERED', type, true)?.publish)
            queue.push(statusEvent(parcel, false)!.type);
        } else if (TO_ORDERS[type] && move(events, TO_ORDERS[type]).republishLast)
          queue.push(typeOfLast(events));
      }
      expect(received.length).toBeLessThan(5);
    },
  );
});

describe('the delay before the next check', () => {
  const settings = { watchdogIntervalMs: 15_000, paymentDeadlineMs: 900_000 };
  it.each([
    ['PENDING', 0, 0, 15_000],
    ['PENDING', 15_000, 15_000, 30_000],
    ['RESERVED', 45_000, 50_000, 90_000],
    ['RESERVED', 400_000, 850_000, 50_000],
    ['RESERVED', 100, 950_000, 1_000],
    ['PAID', 10_000, 950_000, 20_000],
    ['SHIPPED', 86_400_000, 86_500_000, 300_000],
    // With a clock that is an hour behind, and with one that is an hour ahead.
    ['PENDING', -3_600_000, 15_000, 15_000],
    ['PENDING', 3_600_000, 15_000, 30_000],
    ['PAID', 3_600_000, 15_000, 30_000],
  ] as const)('When %s for %s ms, watched for %s ms, then %s ms', (status, lastEvent, watched, pause) => {
    expect(nextCheckDelay(status, { lastEvent, watched }, settings)).toBe(pause);
  });
});

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, position) =>
    permutations(items.filter((_, other) => other !== position)).map((rest) => [item, ...rest]),
  );
}
