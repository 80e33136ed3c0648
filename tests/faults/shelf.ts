/** The products of an act, which nobody else buys or fills up: one that everybody wants, others, one for the end. */
export interface Shelf {
  hot: string;
  others: readonly string[];
  /** What only the last requests want: never sold out. */
  last: string;
}

export const UNIT_PRICE = 1_290;

export function shelf(name: string): Shelf {
  return {
    hot: `${name}-hot`,
    others: Array.from({ length: 30 }, (_, number) => `${name}-${number}`),
    last: `${name}-last`,
  };
}

/** So little is there at first that much is sold out in the end: stock that is plenty cannot be oversold. */
export function onHandAtFirst({ hot, others, last }: Shelf): Map<string, number> {
  return new Map([[hot, 500], [last, 100_000], ...others.map((id) => [id, 200] as const)]);
}

/** The catalogue of a system that has these shelves. */
export function catalogue(shelves: readonly Shelf[]) {
  return shelves.flatMap((one) =>
    [...onHandAtFirst(one)].map(([product_id, on_hand]) => ({
      product_id,
      name: `Product ${product_id}`,
      unit_price: UNIT_PRICE,
      currency: 'EUR',
      on_hand,
    })),
  );
}
