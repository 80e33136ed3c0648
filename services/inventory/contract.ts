import { z } from 'zod';
import { defineEvents } from '../shared/schemas/published-events.ts';
import { freeText, currency, id, money, pricingCurrency, productId } from '../shared/schemas/types.ts';

/** A product in the API. `available` = `on_hand` - `reserved`. */
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

/** `PUT /api/inventory/:product_id`: creates the product if it does not exist, and never changes its stock. */
export const putProductBody = z.strictObject({
  name: freeText(200),
  unit_price: money.max(1_000_000_000),
  currency: pricingCurrency.optional(),
});

/** `POST /api/inventory/:product_id/restock`: the quantity is added to the stock. */
export const restockBody = z.strictObject({ quantity: z.int().min(1).max(1_000_000) });

/** `inventory.reserved`: all lines of the order are reserved. */
export const inventoryReservedData = z.object({ order_id: id });
/** `inventory.rejected`: no line of the order is reserved. */
export const inventoryRejectedData = z.object({ order_id: id, reason: z.string() });
/** `stock.low`: a sale reduced the stock to the product's threshold or below. Published once per fall. */
export const stockLowData = z.object({ product_id: productId, available: z.int() });

/** `GET /products?ids=a,b,c`, for `orders` only: `{ items }`, the products in the order of the ids. Unknown ids are omitted. */
export const productsQuery = z.object({
  ids: z
    .string()
    .transform((ids) => [...new Set(ids.split(','))])
    .pipe(z.array(productId).max(50)),
});

export const productsSchema = z.object({ items: z.array(productSchema) });

/** The events that `inventory` publishes. */
export const inventoryEvents = defineEvents('inventory', {
  'inventory.reserved': inventoryReservedData,
  'inventory.rejected': inventoryRejectedData,
  'stock.low': stockLowData,
});
