import { z } from 'zod';
import { id, inDigits, money, timestamp } from '../shared/schemas/types.ts';
import { orderStatus } from '../orders/contract.ts';
import { pageQuery } from '../shared/schemas/page-query.ts';

/** `GET /api/orders` */
export const orderListQuery = pageQuery.extend({
  customer_id: id.optional(),
  status: orderStatus.optional(),
});

/**
 * `GET /api/admin/orders`. With `stuck`, the list has the open orders without an event for `idle_seconds`, the longest idle
 * first.
 */
export const adminOrderListQuery = orderListQuery.extend({
  stuck: z.enum(['true', 'false']).default('false'),
  idle_seconds: inDigits(z.int().min(0).max(86_400)).prefault(120),
});

/** `/api/admin/history/rebuild`: the status of the last rebuild of the read model. */
export const rebuildSchema = z.object({
  status: z.enum(['none', 'running', 'done']),
  started_at: timestamp.optional(),
  finished_at: timestamp.optional(),
  /** The number of replayed orders. */
  orders: z.int().min(0),
});
export type Rebuild = z.infer<typeof rebuildSchema>;

/** `GET /api/customers/:customer_id/totals`: the number of orders by status, and the money spent. */
export const customerTotalsSchema = z.object({
  customer_id: id,
  orders: z.int(),
  by_status: z.partialRecord(orderStatus, z.int()),
  /** Minor units by currency, of orders that are PAID, SHIPPED or DELIVERED, minus refunds. */
  spent: z.record(z.string(), money),
});

export type CustomerTotals = z.infer<typeof customerTotalsSchema>;

/** `GET /api/admin/dead-letters` */
export const deadLetterListQuery = pageQuery;

export const deadLetterId = z
  .string()
  .regex(/^[0-9a-fA-F]{32}$/, 'must be the id of a dead letter')
  .toLowerCase();

/** A message that no handler could process. Secrets in it are redacted. */
export const deadLetterSchema = z.object({
  dead_letter_id: deadLetterId,
  /** The event type, which is also the topic; `unknown` for other messages. */
  type: z.string(),
  /** Empty if the message is not a CloudEvent. */
  event_id: z.string(),
  received_at: timestamp,
  /** The number of redrives. */
  redriven: z.int(),
  /** The original message, or its text if it was not JSON. */
  event: z.unknown(),
});
export type DeadLetter = z.infer<typeof deadLetterSchema>;

export const deadLetterListSchema = z.object({
  items: z.array(deadLetterSchema),
  next_cursor: z.string().nullable(),
});
