import { describe, expect, it } from 'vitest';
import type { Order, OrderEventType } from '../../services/orders/contract.ts';
import type { CompletedFault } from '../faults/attacks/attack.ts';
import type { OrderHistory } from '../faults/checks/check.ts';
import type { AcceptedOrder } from '../faults/journal.ts';
import { findDelayedSteps, measureRecoveries } from '../faults/recovery.ts';

const FAULT: CompletedFault = {
  type: 'service killed',
  target: 'orders',
  affects: ['orders'],
  atMs: 0,
  durationMs: 1_000,
  startedAt: 10_000,
  endedAt: 12_000,
};
const accepted = (id: string, at: number, card_token = 'tok_visa'): [string, AcceptedOrder] => [
  id,
  {
    at,
    customer: 0,
    key: id,
    body: { items: [], payment: { method: 'card', card_token } },
    response: { status: 201, order_id: id, total: 1 },
  },
];
const history = (id: string, events: OrderEventType[], times: number[]): [string, OrderHistory] => [
  id,
  { order: { updated_at: new Date(times.at(-1) ?? 0).toISOString() } as Order, events, times },
];
const recoveryOf = (orders: [string, AcceptedOrder][], ends: [string, OrderHistory][]) =>
  measureRecoveries([FAULT], new Map(orders), new Map(ends))[0]?.finalAfterMs;

describe('recovery from a fault', () => {
  it('When orders were accepted meanwhile, then recovery ends with the last of them to finish', () => {
    const orders = [accepted('a', 10_500), accepted('b', 11_500), accepted('before', 9_000)];
    const ends = [
      history('a', ['order.rejected'], [15_000]),
      history('b', ['order.rejected'], [13_000]),
      history('before', ['order.rejected'], [60_000]),
    ];
    expect(recoveryOf(orders, ends)).toBe(3_000);
  });

  it('When no order was accepted meanwhile, then the recovery time is unknown', () => {
    expect(recoveryOf([accepted('a', 13_000)], [history('a', ['order.rejected'], [14_000])])).toBeUndefined();
  });

  it.each([
    ['whose provider was slow on purpose', 'tok_timeout', 50_000],
    ['that a clock an hour ahead has written', 'tok_visa', 50_000 + 3_600_000],
    ['that a clock an hour back has written', 'tok_visa', 50_000 - 3_600_000],
  ])('When an order ended late %s, then it does not count', (_, card, endedAt) => {
    const orders = [accepted('a', 10_500), accepted('late', 10_500, card)];
    const ends = [history('a', ['order.rejected'], [12_500]), history('late', ['order.rejected'], [endedAt])];
    expect(recoveryOf(orders, ends)).toBe(500);
  });
});

describe('the delay of orders that a fault affected', () => {
  it.each<[string, [string, AcceptedOrder][], [string, OrderHistory][], number | undefined]>([
    [
      'some of the orders in progress continue later than others',
      [accepted('a', 11_000), accepted('b', 2_000)],
      [
        history('a', ['order.created', 'payment.requested', 'order.paid'], [11_000, 12_500, 30_000]),
        history('b', ['order.created', 'payment.requested', 'order.paid'], [2_000, 3_000, 14_000]),
      ],
      2_000,
    ],
    [
      'all have ended or come later',
      [accepted('a', 2_000), accepted('b', 12_001)],
      [history('a', ['order.rejected'], [11_999]), history('b', ['order.rejected'], [13_000])],
      undefined,
    ],
    [
      'the provider was slow on purpose',
      [accepted('a', 11_000, 'tok_late')],
      [history('a', ['order.paid'], [20_000])],
      undefined,
    ],
  ])('When %s, then the delay is before the last step', (_, orders, ends, expected) => {
    expect(measureRecoveries([FAULT], new Map(orders), new Map(ends))[0]?.continuedAfterMs).toBe(expected);
  });
});

it('When an order waits for more than ten seconds between two events, then the delay is there', () => {
  const orders = new Map([
    history('a', ['order.created', 'payment.requested', 'order.paid'], [0, 10_001, 12_000]),
    history('b', ['order.created', 'payment.requested', 'order.paid'], [0, 30_000, 60_000]),
    history('c', ['order.created', 'payment.requested', 'order.paid'], [0, 3_600_000, 1_000]),
  ]);
  expect(findDelayedSteps(orders)).toEqual({
    'order.created to payment.requested': 2,
    'payment.requested to order.paid': 1,
  });
});
