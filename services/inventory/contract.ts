import { z } from 'zod';
import { defineEvents } from '../shared/schemas/published-events.ts';
import {
  freeText,
  currency,
  id,
  money,
  pricingCurrency,
  productId,
  timestamp,
} from '../shared/schemas/types.ts';

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

/**
 * The stored product. Invariants: `0 <= reserved <= on_hand`, and `stocked` = available + `reserved` + `sold`, where available =
 * `on_hand` - `reserved`.
 */
export const stockedProductSchema = productSchema.omit({ available: true }).extend({
  sold: z.int().min(0),
  stocked: z.int().min(0).describe('The initial stock and all restocks.'),
  low_stock_threshold: z.int().min(0),
  revision: z.int().min(0).describe('Each change of the document increments it.'),
});

const line = z.object({ product_id: productId, quantity: z.int().min(1) });

/** The reservation of an order. It contains what was published, so that the event can be republished. */
export const reservationSchema = z.object({
  order_id: id,
  status: z.enum(['RESERVED', 'REJECTED', 'SOLD', 'RELEASED']),
  lines: z.array(line).describe('The reserved lines, one per product; empty for a rejected order.'),
  time: timestamp.describe('The time of the decision.'),
  reason: z.string().optional().describe('The reason of a rejection; absent if the lines were reserved.'),
  sale: z
    .object({ time: timestamp, low: z.array(stockLowData) })
    .optional()
    .describe('The sale. It stays when the order is cancelled after its payment.'),
  returned: z.array(id).optional().describe('The returns whose sellable lines are in the stock again.'),
});

/** A record of a restock, so that it is executed once. */
export const restockSchema = z.object({
  operation: z.string(),
  product_id: productId,
  quantity: z.int().min(1),
});

/** `PUT /returns/:order_id/:return_id`, for `returns` only: the sellable lines of a return. */
export const takeBackBody = z.strictObject({
  items: z.array(z.strictObject({ product_id: productId, quantity: z.int().min(1) })).max(50),
});

/** The events that `inventory` publishes. */
export const inventoryEvents = defineEvents('inventory', {
  'inventory.reserved': inventoryReservedData,
  'inventory.rejected': inventoryRejectedData,
  'stock.low': stockLowData,
});
