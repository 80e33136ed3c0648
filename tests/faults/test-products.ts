/** The products of one experiment: a hot one, others, and one for the final requests. */
export interface TestProducts {
  hot: string;
  others: readonly string[];
  /** Only for the final requests: never sold out. */
  last: string;
}

export const UNIT_PRICE = 1_290;

export function createTestProducts(name: string): TestProducts {
  return {
    hot: `${name}-hot`,
    others: Array.from({ length: 30 }, (_, number) => `${name}-${number}`),
    last: `${name}-last`,
  };
}

/** The initial stock. It is small, because plentiful stock cannot be oversold. */
export function initialStockOf({ hot, others, last }: TestProducts): Map<string, number> {
  return new Map([[hot, 500], [last, 100_000], ...others.map((id) => [id, 200] as const)]);
}

/** The catalogue of a system with these products. */
export function createCatalogue(products: readonly TestProducts[]) {
  return products.flatMap((one) =>
    [...initialStockOf(one)].map(([product_id, on_hand]) => ({
      product_id,
      name: `Product ${product_id}`,
      unit_price: UNIT_PRICE,
      currency: 'EUR',
      on_hand,
    })),
  );
}
