import type { Order } from '../../orders/contract.ts';
import { paymentSchema, type Payment, type PaymentDocument } from '../contract.ts';

export type { PaymentDocument };

/** A payment that was just requested. */
export function requested(order: Order, paymentId: string, at: string): PaymentDocument {
  return {
    payment_id: paymentId,
    order_id: order.order_id,
    customer_id: order.customer_id,
    status: 'REQUESTED',
    amount: order.total,
    refunded: 0,
    currency: order.currency,
    attempts: 0,
    updated_at: at,
  };
}

export function authorized(payment: PaymentDocument, at: string): PaymentDocument {
  return { ...payment, status: 'AUTHORIZED', updated_at: at };
}

export function captured(payment: PaymentDocument, at: string): PaymentDocument {
  return { ...payment, status: 'CAPTURED', updated_at: at };
}

export function declined(payment: PaymentDocument, reason: string, at: string): PaymentDocument {
  return { ...payment, status: 'FAILED', reason, updated_at: at };
}

/** No charge is allowed for the order any more. */
export function blocked(payment: PaymentDocument, reason: string): PaymentDocument {
  return { ...payment, status: 'REFUSED', reason };
}

/** A call to the provider was not answered. The status stays, because the effect is unknown. */
export function withFailedAttempt(payment: PaymentDocument, failure: string): PaymentDocument {
  return { ...payment, attempts: payment.attempts + 1, last_failure: failure };
}

/**
 * The payment after its reversal. A payment that had ended before keeps its reason and time, and gets the amount of a charge
 * that came later.
 *
 * @param refunded what the provider has given back in total, in minor units
 */
export function reversed(
  payment: PaymentDocument,
  refunded: number,
  reason: string,
  at: string,
): PaymentDocument {
  if (hasEnded(payment))
    return refunded === payment.refunded ? payment : { ...payment, status: 'REFUNDED', refunded };
  const taken = payment.status === 'CAPTURED' || refunded > 0;
  return { ...payment, status: taken ? 'REFUNDED' : 'FAILED', refunded, reason, updated_at: at };
}

/**
 * The payment after the refund of a return.
 *
 * @param refund.amount what was given back for this return, and `total` for the order, in minor units
 */
export function withReturn(
  payment: PaymentDocument,
  returnId: string,
  refund: { amount: number; total: number },
  at: string,
): PaymentDocument {
  const returns = { ...payment.returns, [returnId]: refund.amount };
  const isComplete = payment.status === 'CAPTURED' && refund.total >= payment.amount;
  return {
    ...payment,
    returns,
    refunded: refund.total,
    ...(isComplete ? { status: 'REFUNDED', updated_at: at } : {}),
  };
}

function hasEnded({ status }: PaymentDocument): boolean {
  return status === 'FAILED' || status === 'REFUNDED' || status === 'REFUSED';
}

/** Whether the payment has its outcome. */
export function isSettled(payment: PaymentDocument): boolean {
  return payment.status === 'CAPTURED' || hasEnded(payment);
}

/** The payment as its customer sees it; undefined if there is nothing to see. */
export function publicPayment(payment: PaymentDocument): Payment | undefined {
  // The schema drops internal fields and rejects internal statuses.
  return paymentSchema.safeParse(payment).data;
}

/**
 * The event of a settled payment. For a refunded one it is `payment.failed`, even if `payment.processed` was published before:
 * a paid order ignores it, and an unpaid order must not become paid.
 */
export function outcomeEvent(payment: PaymentDocument) {
  const { order_id, payment_id, reason = 'not paid' } = payment;
  return payment.status === 'CAPTURED'
    ? { type: 'payment.processed' as const, data: { order_id, payment_id } }
    : { type: 'payment.failed' as const, data: { order_id, reason } };
}
