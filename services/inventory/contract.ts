import { z } from 'zod';
import { defineEvents } from '../shared/published-events.ts';
import { freeText, currency, id, money, pricingCurrency, productId } from '../shared/types.ts';

/** A product as everyone sees it. `available` = `on_hand` - `reserved`. */
export const productSchema = z.object({
  product_id: productId,
  name: z.string(),
  unit_price: money,
  currency,
  on_hand: z.int().min(0),
  reserved: z.int().min(0),
  available: z.int().min(0),
});
export type Product = z.infer<typeof productSchema>;

export const productListSchema = z.object({
  items: z.array(productSchema),
  next_cursor: z.string().nullable(),
});

/** `PUT /api/inventory/:product_id`: makes the product where it does not exist; never touches its stock. */
export const putProductBody = z.strictObject({
  name: freeText(200),
  unit_price: money.max(1_000_000_000),
  currency: pricingCurrency.optional(),
});

/** `POST /api/inventory/:product_id/restock`: a delta, never an overwrite. */
export const restockBody = z.strictObject({ quantity: z.int().min(1).max(1_000_000) });

/** `inventory.reserved`: all lines of the order are set aside. */
export const inventoryReservedData = z.object({ order_id: id });
/** `inventory.rejected`: nothing is set aside. */
export const inventoryRejectedData = z.object({ order_id: id, reason: z.string() });
/** `stock.low`: a sale took what is on hand to the product's threshold or below; said once as it falls. */
export const stockLowData = z.object({ product_id: productId, available: z.int() });

/**
 * `GET /products?ids=a,b,c`, for orders only: `{ items }`, the products of these ids, in their order; those that do not
 * exist are left out.
 */
export const productsQuery = z.object({
  ids: z
    .string()
    .transform((ids) => [...new Set(ids.split(','))])
    .pipe(z.array(productId).max(50)),
});

export const productsSchema = z.object({ items: z.array(productSchema) });

/** What inventory publishes. */
export const inventoryEvents = defineEvents('inventory', {
  'inventory.reserved': inventoryReservedData,
  'inventory.rejected': inventoryRejectedData,
  'stock.low': stockLowData,
});
