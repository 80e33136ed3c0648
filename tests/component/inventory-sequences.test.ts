import { describe, expect, it } from 'vitest';
import {
  applyCommand,
  type Command,
  type Reservation,
  type Restock,
  type StockedProduct,
} from '../../services/inventory/domain/stock.ts';

const T1 = '2026-05-01T10:00:00.000Z';

const buildProduct = (product_id: string, on_hand: number): StockedProduct => ({
  product_id,
  name: product_id,
  unit_price: 1290,
  currency: 'EUR',
  on_hand,
  reserved: 0,
  sold: 0,
  stocked: on_hand,
  low_stock_threshold: 1,
  revision: 1,
});
const START = {
  products: new Map([
    ['mug', buildProduct('mug', 3)],
    ['pen', buildProduct('pen', 2)],
  ]),
  reservations: new Map<string, Reservation>(),
  restocks: new Map<string, Restock>(),
};

describe('every sequence of five commands', () => {
  const lines = [
    { product_id: 'mug', quantity: 2 },
    { product_id: 'pen', quantity: 1 },
  ];
  const orderCommands = ['o1', 'o2'].flatMap((order_id) =>
    (['reserve', 'sell', 'release'] as const).map((kind): Command => ({ kind, order_id, lines, at: T1 })),
  );
  const restock = { kind: 'restock', product_id: 'mug', quantity: 1, operation: 'r1' } as const;
  const commands: Command[] = [...orderCommands, restock];

  interface Step {
    command: Command;
    products: Map<string, StockedProduct>;
    reservations: Map<string, Reservation>;
    restocks: Map<string, Restock>;
  }

  /** Every step of every sequence of `depth` commands. */
  function* steps(from: Omit<Step, 'command'>, depth: number): Generator<Step> {
    if (depth === 0) return;
    for (const one of commands) {
      // Each restock has its own id.
      const command: Command = one.kind === 'restock' ? { ...one, operation: `r${depth}` } : one;
      const changes = applyCommand(from, command);
      const products = new Map(from.products);
      for (const product of changes.products) products.set(product.product_id, product);
      const reservations = new Map(from.reservations);
      if (changes.reservation) reservations.set(changes.reservation.order_id, changes.reservation);
      const restocks = new Map(from.restocks);
      if (changes.restock) restocks.set(changes.restock.operation, changes.restock);
      yield { command, products, reservations, restocks };
      yield* steps({ products, reservations, restocks }, depth - 1);
    }
  }
  function isSound({ products, reservations }: Step): boolean {
    const quantityIn = (status: Reservation['status'], id: string) =>
      [...reservations.values()]
        .filter((reservation) => reservation.status === status)
        .flatMap((reservation) => reservation.lines)
        .filter(({ product_id }) => product_id === id)
        .reduce((sum, { quantity }) => sum + quantity, 0);
    return [...products.values()].every(
      ({ product_id, on_hand, reserved, sold, stocked }) =>
        reserved >= 0 &&
        reserved <= on_hand &&
        stocked === on_hand + sold &&
        reserved === quantityIn('RESERVED', product_id) &&
        sold === quantityIn('SOLD', product_id),
    );
  }

  it('When it is applied, then nothing is oversold and nothing is lost', () => {
    const all = [...steps(START, 5)];
    expect(all).toHaveLength(7 + 7 ** 2 + 7 ** 3 + 7 ** 4 + 7 ** 5);
    expect(all.find((step) => !isSound(step))).toBeUndefined();
  });

  it('When the last command is repeated, then it changes nothing', () => {
    const all = [...steps(START, 4)];
    const repeated = all.filter((step) => {
      const { products, reservation, restock: restocked } = applyCommand(step, step.command);
      return products.length > 0 || reservation !== undefined || restocked !== undefined;
    });
    expect(all.length).toBeGreaterThan(2_000);
    expect(repeated).toEqual([]);
  });
});
