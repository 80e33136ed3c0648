import { describe, expect, it } from 'vitest';
import {
  applyCommand,
  type Changes,
  type Command,
  type Line,
  type Reservation,
  type Restock,
  type StockedProduct,
} from '../../services/inventory/domain/stock.ts';

const T1 = '2026-05-01T10:00:00.000Z';
const T2 = '2026-05-01T10:00:05.000Z';

const buildProduct = (product: Partial<StockedProduct> = {}): StockedProduct => {
  const { on_hand = 10, sold = 0 } = product;
  return {
    product_id: 'mug',
    name: 'Mug',
    unit_price: 1290,
    currency: 'EUR',
    on_hand,
    reserved: 0,
    sold,
    stocked: on_hand + sold,
    low_stock_threshold: 3,
    revision: 7,
    ...product,
  };
};
const buildReservation = (reservation: Partial<Reservation> = {}): Reservation => ({
  order_id: 'o1',
  status: 'RESERVED',
  lines: [{ product_id: 'mug', quantity: 2 }],
  time: T1,
  ...reservation,
});
const stockOf = (products: StockedProduct[], reservations: Reservation[] = [], restocks: Restock[] = []) => ({
  products: new Map(products.map((product) => [product.product_id, product])),
  reservations: new Map(reservations.map((reservation) => [reservation.order_id, reservation])),
  restocks: new Map(restocks.map((restock) => [restock.operation, restock])),
});
const order = (
  kind: 'reserve' | 'sell' | 'release',
  lines: Line[] = [{ product_id: 'mug', quantity: 2 }],
) => ({
  kind,
  order_id: 'o1',
  lines,
  at: T2,
});
const UNCHANGED = { products: [] };

describe('reserve', () => {
  it('When there is enough stock for every line, then all lines are reserved', () => {
    const stock = stockOf([buildProduct(), buildProduct({ product_id: 'pen', on_hand: 4 })]);
    const lines = [
      { product_id: 'mug', quantity: 2 },
      { product_id: 'pen', quantity: 4 },
    ];
    expect(applyCommand(stock, order('reserve', lines))).toEqual({
      reservation: { order_id: 'o1', status: 'RESERVED', lines, time: T2 },
      products: [
        buildProduct({ reserved: 2, revision: 8 }),
        buildProduct({ product_id: 'pen', on_hand: 4, reserved: 4, revision: 8 }),
      ],
    });
  });

  it.each<[string, StockedProduct[], Line[], string]>([
    [
      'one is short',
      [buildProduct({ on_hand: 1 })],
      [{ product_id: 'mug', quantity: 2 }],
      'mug (2 wanted, 1 available)',
    ],
    [
      'what is on hand is reserved already',
      [buildProduct({ on_hand: 5, reserved: 4 })],
      [{ product_id: 'mug', quantity: 2 }],
      'mug (2 wanted, 1 available)',
    ],
    [
      'only one of two is short',
      [buildProduct(), buildProduct({ product_id: 'pen', on_hand: 0 })],
      [
        { product_id: 'mug', quantity: 1 },
        { product_id: 'pen', quantity: 1 },
      ],
      'pen (1 wanted, 0 available)',
    ],
    [
      'two lines of a product together want more than there is',
      [buildProduct({ on_hand: 3 })],
      [
        { product_id: 'mug', quantity: 2 },
        { product_id: 'mug', quantity: 2 },
      ],
      'mug (4 wanted, 3 available)',
    ],
    [
      'two are short',
      [buildProduct({ on_hand: 0 }), buildProduct({ product_id: 'pen', on_hand: 1 })],
      [
        { product_id: 'mug', quantity: 1 },
        { product_id: 'pen', quantity: 2 },
      ],
      'mug (1 wanted, 0 available), pen (2 wanted, 1 available)',
    ],
    ['the product does not exist', [], [{ product_id: 'mug', quantity: 1 }], 'mug (1 wanted, 0 available)'],
  ])('When %s, then nothing is reserved and there is a reason', (_case, products, lines, short) => {
    expect(applyCommand(stockOf(products), order('reserve', lines))).toEqual({
      reservation: {
        order_id: 'o1',
        status: 'REJECTED',
        lines: [],
        time: T2,
        reason: `out of stock: ${short}`,
      },
      products: [],
    });
  });

  it.each(['RESERVED', 'REJECTED', 'SOLD', 'RELEASED'] as const)(
    'When the order is %s already, then nothing changes',
    (status) => {
      const stock = stockOf([buildProduct({ reserved: 2 })], [buildReservation({ status })]);
      expect(applyCommand(stock, order('reserve'))).toEqual(UNCHANGED);
    },
  );
});

describe('sell', () => {
  it('When the order is RESERVED, then the reserved stock is sold', () => {
    const stock = stockOf([buildProduct({ reserved: 5 })], [buildReservation()]);
    expect(applyCommand(stock, order('sell'))).toEqual({
      reservation: buildReservation({ status: 'SOLD', sale: { time: T2, low: [] } }),
      products: [buildProduct({ on_hand: 8, reserved: 3, sold: 2, stocked: 10, revision: 8 })],
    });
  });

  it.each<[string, Partial<StockedProduct>, boolean]>([
    ['stays above the threshold', { on_hand: 6, reserved: 2 }, false],
    ['falls to the threshold', { on_hand: 5, reserved: 2 }, true],
    ['falls below the threshold', { on_hand: 4, reserved: 3 }, true],
    ['was at the threshold before', { on_hand: 3, reserved: 2 }, false],
  ])('When what is on hand %s, then it is low: %#', (_case, product, low) => {
    const stock = stockOf([buildProduct(product)], [buildReservation()]);
    const available = (product.on_hand ?? 0) - (product.reserved ?? 0);
    expect(applyCommand(stock, order('sell')).reservation?.sale?.low).toEqual(
      low ? [{ product_id: 'mug', available }] : [],
    );
  });

  it.each(['REJECTED', 'SOLD', 'RELEASED'] as const)(
    'When the order is %s, then nothing changes',
    (status) => {
      expect(applyCommand(stockOf([buildProduct()], [buildReservation({ status })]), order('sell'))).toEqual(
        UNCHANGED,
      );
    },
  );

  it('When there is no decision about the order, then nothing changes', () => {
    expect(applyCommand(stockOf([buildProduct()]), order('sell'))).toEqual(UNCHANGED);
  });

  it('When the message has other lines than the reservation, then it is rejected', () => {
    expect(() => applyCommand(stockOf([], [buildReservation()]), order('sell', []))).toThrow(
      'mug is reserved',
    );
  });
});

describe('release', () => {
  it('When the order is RESERVED, then its lines are available again', () => {
    const stock = stockOf([buildProduct({ reserved: 5 })], [buildReservation()]);
    expect(applyCommand(stock, order('release'))).toEqual({
      reservation: buildReservation({ status: 'RELEASED' }),
      products: [buildProduct({ reserved: 3, revision: 8 })],
    });
  });

  it('When the order is SOLD, then its lines are back on hand', () => {
    const sold = buildReservation({ status: 'SOLD', sale: { time: T1, low: [] } });
    const stock = stockOf([buildProduct({ on_hand: 8, sold: 2 })], [sold]);
    expect(applyCommand(stock, order('release'))).toEqual({
      reservation: { ...sold, status: 'RELEASED' },
      products: [buildProduct({ on_hand: 10, sold: 0, stocked: 10, revision: 8 })],
    });
  });

  it('When there is no decision about the order, then it is recorded as released', () => {
    expect(applyCommand(stockOf([buildProduct()]), order('release'))).toEqual({
      reservation: {
        order_id: 'o1',
        status: 'RELEASED',
        lines: [],
        time: T2,
        reason: 'the order ended before its stock was reserved',
      },
      products: [],
    });
  });

  it.each(['REJECTED', 'RELEASED'] as const)('When the order is %s, then nothing changes', (status) => {
    const stock = stockOf([buildProduct()], [buildReservation({ status })]);
    expect(applyCommand(stock, order('release'))).toEqual(UNCHANGED);
  });
});

describe('products', () => {
  const edit = { kind: 'put', product_id: 'mug', name: 'Cup', unit_price: 900 } as const;
  const restock = { kind: 'restock', product_id: 'mug', quantity: 4, operation: 'r1' } as const;
  const { kind: _, ...restocked } = restock;

  it.each<[string, StockedProduct[], Command, Partial<Changes>]>([
    [
      'a new one is put',
      [],
      edit,
      {
        products: [
          buildProduct({ name: 'Cup', unit_price: 900, on_hand: 0, low_stock_threshold: 5, revision: 1 }),
        ],
      },
    ],
    [
      'one with stock is put in another currency',
      [buildProduct({ reserved: 3, sold: 1 })],
      { ...edit, currency: 'CHF' },
      {
        products: [
          buildProduct({ reserved: 3, sold: 1, name: 'Cup', unit_price: 900, currency: 'CHF', revision: 8 }),
        ],
      },
    ],
    [
      'one is put without a currency',
      [buildProduct({ currency: 'CHF' })],
      edit,
      { products: [buildProduct({ name: 'Cup', unit_price: 900, currency: 'CHF', revision: 8 })] },
    ],
    [
      'one is restocked',
      [buildProduct({ reserved: 3, sold: 1 })],
      restock,
      {
        products: [buildProduct({ reserved: 3, sold: 1, on_hand: 14, stocked: 15, revision: 8 })],
        restock: restocked,
      },
    ],
    ['an unknown one is restocked', [], restock, {}],
  ])('When %s, then the stock is as expected', (_case, products, command, after) => {
    expect(applyCommand(stockOf(products), command)).toEqual({ ...UNCHANGED, ...after });
  });

  it('When a restock is repeated, then nothing changes', () => {
    expect(applyCommand(stockOf([buildProduct()], [], [restocked]), restock)).toEqual(UNCHANGED);
  });

  it('When a product of the catalogue exists, then it is unchanged', () => {
    const { reserved: _r, sold: _s, stocked: _t, revision: _v, ...added } = buildProduct({ unit_price: 1 });
    expect(applyCommand(stockOf([buildProduct()]), { kind: 'add', ...added })).toEqual(UNCHANGED);
  });
});
