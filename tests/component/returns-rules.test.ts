import { describe, expect, it } from 'vitest';
import { delaySeconds } from '../../services/returns/workflow/return-workflow.ts';
import {
  applyTrigger,
  excessLines,
  overdueMs,
  priceOf,
  quantitiesLeft,
  statusOf,
  toReturn,
  type ReturnDocument,
} from '../../services/returns/domain/return.ts';
import {
  eventOf,
  isFinal,
  isVoid,
  RETURN_STATUSES,
  statusAfter,
  TRANSITIONS,
  type ReturnStatus,
  type ReturnTrigger,
} from '../../services/returns/domain/state-machine.ts';
import { onePerProduct } from '../../services/shared/util/lines.ts';
import { returnEvents } from '../../services/returns/contract.ts';

const AT = '2026-01-12T09:30:00.000Z';
const ID = '0193b2a0-0000-7000-8000-000000000001';

function documentIn(status: ReturnStatus, more: Partial<ReturnDocument> = {}): ReturnDocument {
  return {
    return_id: ID,
    order_id: ID,
    customer_id: ID,
    items: [{ product_id: 'mug', name: 'Mug', quantity: 2, unit_price: 100 }],
    total: 200,
    currency: 'EUR',
    reason: 'r',
    received: [],
    created_at: AT,
    milestones: [{ status, at: AT }],
    published: 1,
    ...more,
  };
}

/** The transitions of each status. Every other trigger is refused. */
const LEGAL: Record<ReturnStatus, Partial<Record<ReturnTrigger, ReturnStatus>>> = {
  REQUESTED: { approve: 'APPROVED', reject: 'REJECTED', cancel: 'CANCELLED' },
  APPROVED: { receive: 'RECEIVED', cancel: 'CANCELLED', expire: 'EXPIRED' },
  RECEIVED: { complete: 'REFUNDED' },
  REFUNDED: {},
  REJECTED: {},
  CANCELLED: {},
  EXPIRED: {},
};

describe('the state machine of returns', () => {
  const TRIGGERS = Object.keys(TRANSITIONS) as ReturnTrigger[];
  const combinations = RETURN_STATUSES.flatMap((status) => TRIGGERS.map((trigger) => ({ status, trigger })));

  it.each(combinations)(
    'When a return is $status, then $trigger does what the table says',
    ({ status, trigger }) => {
      const expected = LEGAL[status][trigger];
      expect(statusAfter(status, trigger)).toBe(expected);
      const after = applyTrigger(documentIn(status), trigger, { at: AT });
      expect(after && statusOf(after)).toBe(expected);
      expect(after && applyTrigger(after, trigger, { at: AT })).toBeUndefined();
    },
  );

  it.each(RETURN_STATUSES)(
    'When a return is %s, then it is final if nothing follows, and it has an event',
    (status) => {
      expect(isFinal(status)).toBe(Object.keys(LEGAL[status]).length === 0);
      expect(returnEvents.types).toContain(eventOf(status));
    },
  );

  it('When a return has milestones, then each is a version of it', () => {
    const approved = applyTrigger(documentIn('REQUESTED'), 'approve', { at: AT });
    expect(approved && toReturn(approved)).toMatchObject({ status: 'APPROVED', version: 2 });
    expect(approved && toReturn(approved, 1)).toMatchObject({ status: 'REQUESTED', version: 1 });
  });

  it('When an earlier version is shown, then it has nothing of a later one', () => {
    const milestones = (['REQUESTED', 'APPROVED', 'RECEIVED', 'REFUNDED'] as const).map((status) => ({
      status,
      at: AT,
    }));
    const received = [{ product_id: 'mug', quantity: 1, sellable: true }];
    const later = { label: 'RT1', expires_at: AT, received, refunded: 100 };
    const refunded = documentIn('REFUNDED', { milestones, ...later });
    const shown = milestones.map((_, position) => {
      const { label, expires_at, received: lines, refunded: amount } = toReturn(refunded, position + 1);
      return [label, expires_at, lines.length, amount];
    });
    expect(shown).toEqual([
      [undefined, undefined, 0, undefined],
      ['RT1', AT, 0, undefined],
      ['RT1', AT, 1, undefined],
      ['RT1', AT, 1, 100],
    ]);
  });
});

describe('what can be returned', () => {
  const bought = [
    { product_id: 'mug', quantity: 2 },
    { product_id: 'mug', quantity: 1 },
    { product_id: 'hat', quantity: 1 },
  ];
  const received = [{ product_id: 'mug', quantity: 1, sellable: true }];

  it.each<[ReturnStatus, number]>([
    ['REQUESTED', 1],
    ['APPROVED', 1],
    ['RECEIVED', 2],
    ['REFUNDED', 2],
    ['REJECTED', 3],
    ['CANCELLED', 3],
    ['EXPIRED', 3],
  ])('When another return of two of three is %s, then %i are left', (status, left) => {
    const others = [documentIn(status, { received })];
    expect(quantitiesLeft(bought, others).get('mug')).toBe(left);
    expect(quantitiesLeft(bought, others).get('hat')).toBe(1);
    expect(isVoid(status)).toBe(left === 3);
  });

  it.each([
    ['all of a line', [{ product_id: 'mug', quantity: 3 }], []],
    ['too many', [{ product_id: 'mug', quantity: 4 }], [{ position: 0, product_id: 'mug', possible: 3 }]],
    [
      'too many in two lines',
      [
        { product_id: 'mug', quantity: 2 },
        { product_id: 'mug', quantity: 2 },
      ],
      [{ position: 1, product_id: 'mug', possible: 1 }],
    ],
    [
      'another product',
      [{ product_id: 'pen', quantity: 1 }],
      [{ position: 0, product_id: 'pen', possible: 0 }],
    ],
  ])('When %s is wanted, then the lines that exceed are named', (_, wanted, excess) => {
    expect(excessLines(wanted, quantitiesLeft(bought, []))).toEqual(excess);
  });

  it('When lines have one product, then they count together, with the price of the order', () => {
    const lines = onePerProduct(bought);
    expect(lines).toEqual([
      { product_id: 'mug', quantity: 3 },
      { product_id: 'hat', quantity: 1 },
    ]);
    const items = [
      { product_id: 'mug', unit_price: 100 },
      { product_id: 'hat', unit_price: 5 },
    ];
    expect(priceOf(lines, items)).toBe(305);
  });
});

describe('the workflow of a return', () => {
  const after = (minutes: number) => new Date(Date.parse(AT) + minutes * 60_000);
  const expires_at = after(2).toISOString();
  it.each<[string, ReturnDocument, number]>([
    ['waits for a decision', documentIn('REQUESTED'), 0],
    ['has an event to publish', documentIn('REQUESTED', { published: 0 }), 3],
    ['waits for a parcel', documentIn('APPROVED', { expires_at: after(4).toISOString() }), 0],
    ['has waited for a parcel', documentIn('APPROVED', { expires_at }), 1],
    ['has to refund', documentIn('RECEIVED'), 3],
    ['has ended', documentIn('REFUNDED'), 0],
  ])('When a return %s, then it is overdue since that time', (_, document, minutes) => {
    expect(overdueMs(document, after(3))).toBe(minutes * 60_000);
  });

  it('When a clock was ahead, then the return does not wait for that time', () => {
    expect(overdueMs(documentIn('RECEIVED'), after(-60))).toBe(3_600_000);
  });

  it('When a step fails again, then the pause grows up to a minute', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 19].map(delaySeconds)).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  });
});
