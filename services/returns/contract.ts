import { z } from 'zod';
import { pageQuery } from '../shared/schemas/page-query.ts';
import { defineEvents } from '../shared/schemas/published-events.ts';
import { currency, freeText, id, money, productId, timestamp } from '../shared/schemas/types.ts';
import { RETURN_STATUSES } from './domain/state-machine.ts';

export const returnStatus = z.enum(RETURN_STATUSES);
export type { ReturnStatus } from './domain/state-machine.ts';

const quantity = z.int().min(1).max(10_000);

const returnLineSchema = z.object({
  product_id: productId,
  name: z.string(),
  quantity: z.int().min(1),
  unit_price: money,
});
export type ReturnLine = z.infer<typeof returnLineSchema>;

const receivedLineSchema = z.object({ product_id: productId, quantity, sellable: z.boolean() });
export type ReceivedLine = z.infer<typeof receivedLineSchema>;

/** A return as its customer sees it. Money is in minor units. */
export const returnSchema = z.object({
  return_id: id,
  order_id: id,
  customer_id: id,
  status: returnStatus,
  items: z.array(returnLineSchema),
  /** The price of the items. */
  total: money,
  currency,
  reason: z.string(),
  /** What the customer writes on the parcel, once the return is approved. */
  label: z.string().optional(),
  /** The time at which an approved return expires. */
  expires_at: timestamp.optional(),
  /** What has arrived. */
  received: z.array(receivedLineSchema),
  /** The amount that was given back. */
  refunded: money.optional(),
  /** Grows by one with each status. */
  version: z.int().min(1),
  created_at: timestamp,
  updated_at: timestamp,
});
export type Return = z.infer<typeof returnSchema>;

export const returnListSchema = z.object({
  items: z.array(returnSchema),
  next_cursor: z.string().nullable(),
});

/** The reason of a return after the customer's account was deleted. */
export const ERASED_REASON = 'the reason was erased';

/** `POST /api/orders/:id/returns` */
export const requestReturnBody = z.strictObject({
  items: z
    .array(z.strictObject({ product_id: productId, quantity }))
    .min(1)
    .max(50),
  reason: freeText(200),
});

/** `POST /api/returns/:id/receive`: what has arrived, by default everything. `sellable` is for all of it. */
export const receiveBody = z.strictObject({
  items: z
    .array(z.strictObject({ product_id: productId, quantity }))
    .min(1)
    .max(50)
    .optional(),
  condition: z.enum(['sellable', 'damaged']).default('sellable'),
});

/** `GET /api/returns` */
export const returnsQuery = pageQuery.extend({ status: returnStatus.optional() });

/** The data of events: the return without the text that the customer wrote. */
const eventData = z.object({ return: returnSchema.omit({ reason: true }) });

/** The events that `returns` publishes: one for each status. */
export const returnEvents = defineEvents('returns', {
  'return.requested': eventData,
  'return.approved': eventData,
  'return.received': eventData,
  /** `order_refunded`: what was given back for the order in total. */
  'return.refunded': eventData.extend({ order_refunded: money }),
  'return.rejected': eventData,
  'return.cancelled': eventData,
  'return.expired': eventData,
});

export const returnEventType = z.enum(returnEvents.types);
export type ReturnEventType = z.infer<typeof returnEventType>;
