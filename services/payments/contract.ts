import { z } from 'zod';
import { defineEvents } from '../shared/schemas/published-events.ts';
import { currency, id, money, timestamp } from '../shared/schemas/types.ts';

/** A payment as its customer sees it. Money is in minor units. */
export const paymentSchema = z.object({
  payment_id: id,
  order_id: id,
  status: z.enum(['AUTHORIZED', 'CAPTURED', 'FAILED', 'REFUNDED']),
  amount: money,
  refunded: money,
  currency,
  reason: z.string().optional(),
});
export type Payment = z.infer<typeof paymentSchema>;

export const paymentListSchema = z.object({
  items: z.array(paymentSchema),
  next_cursor: z.string().nullable(),
});

/** `GET /api/payments` */
export const paymentListQuery = z.object({ order_id: id });

/** `GET /api/payments/ledger/:order_id`, for administrators: the provider's own records. Money is in minor units. */
const ledgerEntry = z.object({ amount: money, at: timestamp, return_id: id.optional() });
export const ledgerSchema = z.object({
  order_id: id,
  captured: money,
  refunded: money,
  captures: z.array(ledgerEntry),
  refunds: z.array(ledgerEntry),
});

/** `payment.processed`: the money is captured. */
export const paymentProcessedData = z.object({ order_id: id, payment_id: id });
/** `payment.failed`: no money is kept. */
export const paymentFailedData = z.object({ order_id: id, reason: z.string() });
/** `payment.refunded`: the total that was given back, in minor units. */
export const paymentRefundedData = z.object({ order_id: id, payment_id: id, refunded: money, currency });

/** The stored payment of an order. Two more statuses are internal. */
export const paymentDocumentSchema = paymentSchema.extend({
  status: z.enum(['REQUESTED', ...paymentSchema.shape.status.options, 'REFUSED']),
  customer_id: id,
  attempts: z.int().min(0).describe('Calls to the provider that were not answered.'),
  last_failure: z.string().optional().describe('Why the last of them was not answered.'),
  updated_at: timestamp.describe('The time at which the payment reached this status.'),
  returns: z.record(id, money).optional().describe('What was given back for each return, by its id.'),
});
export type PaymentDocument = z.infer<typeof paymentDocumentSchema>;

/** The records of the simulated provider about an order. */
export const simulatedLedgerSchema = z.object({
  captures: z.array(ledgerEntry),
  refunds: z.array(ledgerEntry),
  started_at: timestamp.optional().describe('The time of the first call for `tok_slow`.'),
  tries: z.int().optional().describe('The number of calls for `tok_flaky` and `tok_yes_after_no`.'),
  voided_at: timestamp.optional(),
});
export type SimulatedLedger = z.infer<typeof simulatedLedgerSchema>;

/** `PUT /refunds/:order_id/:return_id`, for `returns` only: the price of the received lines, in minor units. */
export const returnRefundBody = z.strictObject({ amount: money });
/** What was given back for this return, and for the order in total, in minor units. */
export const returnRefundSchema = z.object({ amount: money, refunded: money, currency });

/** `refund.requested`: the shop refunds an order. Only `payments` receives it, so that a crash loses no refund. */
export const refundRequestedData = z.object({ order_id: id, payment_id: id });

/** The events that `payments` publishes. */
export const paymentEvents = defineEvents('payments', {
  'payment.processed': paymentProcessedData,
  'payment.failed': paymentFailedData,
  'payment.refunded': paymentRefundedData,
  'refund.requested': refundRequestedData,
});
