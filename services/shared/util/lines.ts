/** A quantity of a product, in a request or a document. */
export interface Line {
  product_id: string;
  quantity: number;
}

/** Merges lines of the same product, so that they count together. The order is that of the first lines. */
export function onePerProduct(lines: readonly Line[]): Line[] {
  const quantities = new Map<string, number>();
  for (const { product_id, quantity } of lines)
    quantities.set(product_id, (quantities.get(product_id) ?? 0) + quantity);
  return [...quantities].map(([product_id, quantity]) => ({ product_id, quantity }));
}
