import { describe, expect, it } from 'vitest';
import type { CustomerTotals } from '../../services/history/contract.ts';
import {
  newestOf,
  emptyTotals,
  project,
  totalsOf as counted,
} from '../../services/history/domain/read-model.ts';
import type { Order, OrderStatus } from '../../services/orders/contract.ts';

const CUSTOMER = '0198a000-0000-7000-8000-00000000000a';

function buildOrder(more: Partial<Order> = {}): Order {
  return {
    order_id: '0198a000-0000-7000-8000-000000000001',
    customer_id: CUSTOMER,
    status: 'PENDING',
    items: [{ product_id: 'mug', name: 'Mug', quantity: 1, unit_price: 1200 }],
    total: 1200,
    currency: 'EUR',
    version: 1,
    created_at: '2026-01-01T00:00:00Z',
    updated_at: '2026-01-01T00:00:00Z',
    ...more,
  };
}

const nothing = { orders: new Map(), totals: new Map() };
const knowing = (order: Order, totals: CustomerTotals) => ({
  orders: new Map([[order.order_id, order]]),
  totals: new Map([[totals.customer_id, totals]]),
});
const totalsOf = (by_status: CustomerTotals['by_status'], spent: Record<string, number>, orders = 1) => ({
  customer_id: CUSTOMER,
  orders,
  by_status,
  spent,
});

describe('newestOf', () => {
  it.each([
    ['in order', [1, 2, 3]],
    ['in reverse', [3, 2, 1]],
    ['twice', [3, 1, 3]],
  ])('When versions of an order come %s, then the newest remains', (_, versions) => {
    expect(newestOf(versions.map((version) => buildOrder({ version }))).map((o) => o.version)).toEqual([3]);
  });

  it('When there are several orders, then each remains, in order', () => {
    const orders = ['b', 'a'].map((order_id) => buildOrder({ order_id }));
    expect(newestOf(orders).map((order) => order.order_id)).toEqual(['b', 'a']);
  });
});

describe('project', () => {
  it('When an order is new, then it is listed and counted', () => {
    const order = buildOrder();
    expect(project(nothing, [order])).toEqual({
      orders: [order],
      firstSeen: [order],
      totals: [totalsOf({ PENDING: 1 }, {})],
    });
  });

  it('When the first version of an order is a late one, then it is still listed', () => {
    const order = buildOrder({ status: 'PAID', version: 3 });
    expect(project(nothing, [order])).toEqual({
      orders: [order],
      firstSeen: [order],
      totals: [totalsOf({ PAID: 1 }, { EUR: 1200 })],
    });
  });

  it.each([
    ['the same version', 3],
    ['an older version', 2],
  ])('When %s comes, then nothing changes', (_, version) => {
    const known = knowing(buildOrder({ version: 3 }), totalsOf({ PENDING: 1 }, {}));
    expect(project(known, [buildOrder({ version, status: 'PAID' })])).toEqual({
      orders: [],
      firstSeen: [],
      totals: [],
    });
  });

  const moves: [OrderStatus, OrderStatus, Record<string, number>][] = [
    ['PENDING', 'RESERVED', {}],
    ['RESERVED', 'PAID', { EUR: 1200 }],
    ['PAID', 'SHIPPED', { EUR: 1200 }],
    ['SHIPPED', 'DELIVERED', { EUR: 1200 }],
    ['PAID', 'CANCELLED', {}],
    ['PENDING', 'REJECTED', {}],
    ['RESERVED', 'PAYMENT_FAILED', {}],
    ['RESERVED', 'EXPIRED', {}],
  ];
  it.each(moves)('When an order goes from %s to %s, then the totals follow', (from, to, spent) => {
    const paid = ['PAID', 'SHIPPED', 'DELIVERED'].includes(from);
    const known = knowing(
      buildOrder({ status: from, version: 4 }),
      totalsOf({ [from]: 1 }, paid ? { EUR: 1200 } : {}),
    );
    const changes = project(known, [buildOrder({ status: to, version: 5 })]);
    expect(changes.firstSeen).toEqual([]);
    expect(changes.totals).toEqual([totalsOf({ [to]: 1 }, spent)]);
  });

  it('When one batch has two orders of a customer, then both are in the totals', () => {
    const batch = [
      buildOrder({ order_id: 'a', status: 'PAID' }),
      buildOrder({ order_id: 'b', status: 'PAID', currency: 'USD', total: 5 }),
    ];
    const known = { ...nothing, totals: new Map([[CUSTOMER, totalsOf({ PAID: 1 }, { EUR: 100 })]]) };
    expect(project(known, batch).totals).toEqual([totalsOf({ PAID: 3 }, { EUR: 1300, USD: 5 }, 3)]);
  });

  it.each([
    ['an older one', 4, []],
    ['the same, and it is another', 3, [totalsOf({ PAID: 1 }, { EUR: 1200 })]],
    ['a newer one', 2, [totalsOf({ PAID: 1 }, { EUR: 1200 })]],
  ])(
    'When the version from the stream is %s, then the newer one wins, and the stream wins over an equal one',
    (_, version, totals) => {
      const known = knowing(buildOrder({ version }), totalsOf({ PENDING: 1 }, {}));
      const order = buildOrder({ version: 3, status: 'PAID' });
      expect(project(known, [order], new Set([order.order_id]))).toEqual({
        orders: totals.length > 0 ? [order] : [],
        firstSeen: [],
        totals,
      });
    },
  );

  it('When the version from the stream equals the known one, then nothing changes', () => {
    const order = buildOrder();
    const known = knowing(order, totalsOf({ PENDING: 1 }, {}));
    expect(project(known, [structuredClone(order)], new Set([order.order_id]))).toEqual({
      orders: [],
      firstSeen: [],
      totals: [],
    });
  });

  describe('while the totals are recounted', () => {
    const counting = (changed: object) => ({
      ...totalsOf({ PENDING: 1 }, {}),
      recount: { by: 'somebody', changed: changed as Record<string, never> },
    });

    it('When an order changes, then its current count is recorded, once', () => {
      const before = buildOrder();
      const { order_id } = before;
      const moved = buildOrder({ version: 3, status: 'PAID' });
      const paid = { status: 'PAID', currency: 'EUR', total: 1200 };
      const recorded = {
        pending: { ...paid, status: 'PENDING' },
        [order_id]: { ...paid, status: 'PENDING' },
      };
      expect(project(knowing(before, counting(recorded)), [moved]).totals).toMatchObject([
        { by_status: { PAID: 1 }, recount: { by: 'somebody', changed: { ...recorded, [order_id]: paid } } },
      ]);
    });

    it('When too many orders change, then the recount is abandoned', () => {
      const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`order-${n}`, {}]));
      const { totals } = project(knowing(buildOrder(), counting(many)), [buildOrder({ version: 2 })]);
      expect(totals).toEqual([totalsOf({ PENDING: 1 }, {})]);
    });
  });

  it('When a version is applied twice, then the known document is not mutated', () => {
    const totals = emptyTotals(CUSTOMER);
    project({ ...nothing, totals: new Map([[CUSTOMER, totals]]) }, [buildOrder()]);
    expect(totals).toEqual(emptyTotals(CUSTOMER));
  });
});

describe('totalsOf', () => {
  it.each<[string, Partial<Order>[], CustomerTotals]>([
    ['no orders', [], totalsOf({}, {}, 0)],
    ['one that is not paid', [{}], totalsOf({ PENDING: 1 }, {})],
    [
      'several',
      [
        { status: 'PAID' },
        { status: 'DELIVERED', currency: 'USD' },
        { status: 'PAID' },
        { status: 'EXPIRED' },
      ],
      totalsOf({ PAID: 2, DELIVERED: 1, EXPIRED: 1 }, { EUR: 2400, USD: 1200 }, 4),
    ],
  ])('When a customer has %s, then the totals result from them', (_, orders, totals) => {
    expect(counted(CUSTOMER, orders.map(buildOrder))).toEqual(totals);
  });
});
