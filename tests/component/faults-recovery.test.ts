import { describe, expect, it } from 'vitest';
import type { Order, OrderEventType } from '../../services/orders/contract.ts';
import type { Done } from '../faults/attacks/attack.ts';
import type { Told } from '../faults/checks/check.ts';
import type { Accepted } from '../faults/journal.ts';
import { heldUp, recoveries } from '../faults/recovery.ts';

const FAULT: Done = {
  kind: 'service killed',
  target: 'orders',
  touches: ['orders'],
  at: 0,
  lasts: 1_000,
  began: 10_000,
  ended: 12_000,
};
const accepted = (id: string, at: number, card_token = 'tok_visa'): [string, Accepted] => [
  id,
  {
    at,
    customer: 0,
    key: id,
    body: { items: [], payment: { method: 'card', card_token } },
    answer: { status: 201, order_id: id, total: 1 },
  },
];
const told = (id: string, events: OrderEventType[], times: number[]): [string, Told] => [
  id,
  { order: { updated_at: new Date(times.at(-1) ?? 0).toISOString() } as Order, events, times },
];
const recoveryOf = (orders: [string, Accepted][], ends: [string, Told][]) =>
  recoveries([FAULT], new Map(orders), new Map(ends))[0]?.allFinal;

describe('recovery from a fault', () => {
  it('When orders were accepted meanwhile, then recovery ends with the last of them to finish', () => {
    const orders = [accepted('a', 10_500), accepted('b', 11_500), accepted('before', 9_000)];
    const ends = [
      told('a', ['order.rejected'], [15_000]),
      told('b', ['order.rejected'], [13_000]),
      told('before', ['order.rejected'], [60_000]),
    ];
    expect(recoveryOf(orders, ends)).toBe(3_000);
  });

  it('When no order was accepted meanwhile, then the recovery time is unknown', () => {
    expect(recoveryOf([accepted('a', 13_000)], [told('a', ['order.rejected'], [14_000])])).toBeUndefined();
  });

  it.each([
    ['whose provider was slow on purpose', 'tok_timeout', 50_000],
    ['that a clock an hour ahead has written', 'tok_visa', 50_000 + 3_600_000],
    ['that a clock an hour back has written', 'tok_visa', 50_000 - 3_600_000],
  ])('When an order ended late %s, then it does not count', (_, card, ended) => {
    const orders = [accepted('a', 10_500), accepted('late', 10_500, card)];
    const ends = [told('a', ['order.rejected'], [12_500]), told('late', ['order.rejected'], [ended])];
    expect(recoveryOf(orders, ends)).toBe(500);
  });
});

describe('the delay of orders that a fault affected', () => {
  it.each<[string, [string, Accepted][], [string, Told][], number | undefined]>([
    [
      'some of the orders in progress continue later than others',
      [accepted('a', 11_000), accepted('b', 2_000)],
      [
        told('a', ['order.created', 'payment.requested', 'order.paid'], [11_000, 12_500, 30_000]),
        told('b', ['order.created', 'payment.requested', 'order.paid'], [2_000, 3_000, 14_000]),
      ],
      2_000,
    ],
    [
      'all have ended or come later',
      [accepted('a', 2_000), accepted('b', 12_001)],
      [told('a', ['order.rejected'], [11_999]), told('b', ['order.rejected'], [13_000])],
      undefined,
    ],
    [
      'the provider was slow on purpose',
      [accepted('a', 11_000, 'tok_late')],
      [told('a', ['order.paid'], [20_000])],
      undefined,
    ],
  ])('When %s, then the delay is before the last step', (_, orders, ends, expected) => {
    expect(recoveries([FAULT], new Map(orders), new Map(ends))[0]?.wentOn).toBe(expected);
  });
});

it('When an order waits for more than ten seconds between two events, then the delay is there', () => {
  const orders = new Map([
    told('a', ['order.created', 'payment.requested', 'order.paid'], [0, 10_001, 12_000]),
    told('b', ['order.created', 'payment.requested', 'order.paid'], [0, 30_000, 60_000]),
    told('c', ['order.created', 'payment.requested', 'order.paid'], [0, 3_600_000, 1_000]),
  ]);
  expect(heldUp(orders)).toEqual({
    'order.created to payment.requested': 2,
    'payment.requested to order.paid': 1,
  });
});
