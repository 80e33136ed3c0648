import type { Product } from '../../inventory/contract.ts';
import { ProblemError, type FieldError } from '../../shared/http/problem.ts';
import type { OrderCreated } from './order.ts';

/** An order without prices, from either form of the request. */
export interface OrderDraft {
  lines: { product_id: string; quantity: number; unit_price?: number | undefined; field: string }[];
  /** The total that the caller expects. */
  amount?: number | undefined;
  currency?: string | undefined;
}

/**
 * Prices a draft with the shop's prices. Lines of the same product become one.
 *
 * @throws ProblemError 422 for unknown products or a mix of currencies, 409 if the caller expects another price
 */
export function priceOrder(
  draft: OrderDraft,
  products: readonly Product[],
): Omit<OrderCreated, 'customer_id'> {
  const known = new Map(products.map((product) => [product.product_id, product]));
  const unknownProducts: FieldError[] = [];
  const priceMismatches: FieldError[] = [];
  const items = new Map<string, OrderCreated['items'][number]>();
  for (const { product_id, quantity, unit_price, field } of draft.lines) {
    const product = known.get(product_id);
    if (!product) {
      unknownProducts.push({ field: `${field}product_id`, message: 'is not a product of this shop' });
      continue;
    }
    if (unit_price !== undefined && unit_price !== product.unit_price)
      priceMismatches.push({
        field: `${field}unit_price`,
        message: `must be the current price, ${product.unit_price}`,
      });
    items.set(product_id, {
      product_id,
      name: product.name,
      quantity: quantity + (items.get(product_id)?.quantity ?? 0),
      unit_price: product.unit_price,
    });
  }
  if (unknownProducts.length > 0)
    throw new ProblemError(422, 'unknown-product', 'The order contains unknown products. Remove them.', {
      errors: unknownProducts,
    });

  const currencies = new Set([...items.keys()].map((productId) => known.get(productId)?.currency ?? ''));
  const [currency = ''] = currencies;
  if (currencies.size > 1)
    throw new ProblemError(422, 'mixed-currencies', 'The products of an order must have the same currency.');
  const total = [...items.values()].reduce((sum, line) => sum + line.quantity * line.unit_price, 0);
  if (draft.currency !== undefined && draft.currency !== currency)
    priceMismatches.push({ field: 'currency', message: `must be ${currency}` });
  if (draft.amount !== undefined && draft.amount !== total)
    priceMismatches.push({ field: 'amount', message: `must be the current total, ${total}` });
  if (priceMismatches.length > 0)
    throw new ProblemError(
      409,
      'price-differs',
      'The price has changed. See `errors` for the current values.',
      {
        errors: priceMismatches,
      },
    );
  return { items: [...items.values()], total, currency };
}
