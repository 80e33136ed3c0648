import { z } from 'zod';
import { id, inDigits, money, timestamp } from '../shared/types.ts';
import { orderStatus } from '../orders/contract.ts';
import { pageQuery } from '../shared/paged-index.ts';

/** `GET /api/orders` */
export const orderListQuery = pageQuery.extend({
  customer_id: id.optional(),
  status: orderStatus.optional(),
});

/**
 * `GET /api/admin/orders`: with `stuck`, the orders that are not final and whose last event is more than `idle_seconds` old,
 * the longest idle first.
 */
export const adminOrderListQuery = orderListQuery.extend({
  stuck: z.enum(['true', 'false']).default('false'),
  idle_seconds: inDigits(z.int().min(0).max(86_400)).prefault(120),
});

/** `/api/admin/history/rebuild`: how the last rebuild of the read model goes. */
export const rebuildSchema = z.object({
  status: z.enum(['none', 'running', 'done']),
  started_at: timestamp.optional(),
  finished_at: timestamp.optional(),
  /** Replayed so far. */
  orders: z.int().min(0),
});
export type Rebuild = z.infer<typeof rebuildSchema>;

/** `GET /api/customers/:customer_id/totals`: how many orders are in which status, and what was paid and kept. */
export const customerTotalsSchema = z.object({
  customer_id: id,
  orders: z.int(),
  by_status: z.partialRecord(orderStatus, z.int()),
  /** Minor units by currency, of orders that are PAID, SHIPPED or DELIVERED, without what was refunded of them. */
  spent: z.record(z.string(), money),
});

export type CustomerTotals = z.infer<typeof customerTotalsSchema>;

/** `GET /api/admin/dead-letters` */
export const deadLetterListQuery = pageQuery;

export const deadLetterId = z
  .string()
  .regex(/^[0-9a-fA-F]{32}$/, 'must be the id of a dead letter')
  .toLowerCase();

/** A message that a service could not process. What looks like a secret in it is not shown. */
export const deadLetterSchema = z.object({
  dead_letter_id: deadLetterId,
  /** The event's type, which is the topic it came from; `unknown` where it is none of ours. */
  type: z.string(),
  /** Empty where the message is no CloudEvent. */
  event_id: z.string(),
  received_at: timestamp,
  /** How often it was sent again from here. */
  redriven: z.int(),
  /** The message as it came; text where it was not JSON. */
  event: z.unknown(),
});
export type DeadLetter = z.infer<typeof deadLetterSchema>;

export const deadLetterListSchema = z.object({
  items: z.array(deadLetterSchema),
  next_cursor: z.string().nullable(),
});
