import type { Order } from '../orders/contract.ts';
import { paymentSchema, type Payment } from './contract.ts';

/**
 * What is known of an order's payment. Two statuses are nobody else's business: REQUESTED, the provider was asked and
 * has not answered; REFUSED, the order ended before payment was requested, and nothing may be charged any more.
 */
export interface PaymentDocument extends Omit<Payment, 'status'> {
  status: Payment['status'] | 'REQUESTED' | 'REFUSED';
  customer_id: string;
  /** Calls to the provider that were not answered. */
  attempts: number;
  /** Why the last of them was not. */
  last_failure?: string;
  /** When this status was reached. */
  updated_at: string;
}

/**
 * Whatever can move a payment: the order asks for it, the order ends, the shop gives the money back. `card erased`: orders
 * has no card for it any more, because the payment is decided or the order has ended.
 */
export type Message = 'payment.requested' | 'card erased' | 'order ended' | 'refund';

/**
 * What to do next. `reverse`: have the provider give back whatever it may have taken, and end the payment; `refuse`:
 * remember that nothing may be charged.
 */
export type Step = 'authorize' | 'capture' | 'reverse' | 'refuse' | 'nothing';

type Steps = Record<PaymentDocument['status'] | 'none', Step>;

const STEPS: Record<Message, Steps> = {
  // An ended payment is reversed once more: an earlier delivery of this request may have charged after it ended.
  'payment.requested': {
    none: 'authorize',
    REQUESTED: 'authorize',
    AUTHORIZED: 'capture',
    CAPTURED: 'nothing',
    FAILED: 'reverse',
    REFUNDED: 'reverse',
    REFUSED: 'reverse',
  },
  // A payment that is not decided after this was asked belongs to an order that has ended: orders erases the card of a paid
  // order only after it has received the decision, which was written here before.
  'card erased': {
    none: 'refuse',
    REQUESTED: 'reverse',
    AUTHORIZED: 'reverse',
    CAPTURED: 'nothing',
    FAILED: 'nothing',
    REFUNDED: 'nothing',
    REFUSED: 'nothing',
  },
  'order ended': {
    none: 'refuse',
    REQUESTED: 'reverse',
    AUTHORIZED: 'reverse',
    CAPTURED: 'reverse',
    FAILED: 'nothing',
    REFUNDED: 'nothing',
    REFUSED: 'nothing',
  },
  refund: {
    none: 'nothing',
    REQUESTED: 'nothing',
    AUTHORIZED: 'nothing',
    CAPTURED: 'reverse',
    FAILED: 'nothing',
    REFUNDED: 'nothing',
    REFUSED: 'nothing',
  },
};

/**
 * The rule of payments. A provider that has not answered `maxAttempts` times is not asked to charge again: as in card
 * networks (the time-out reversal of ISO 8583), what it may have done without saying so is reversed.
 */
export function nextStep(payment: PaymentDocument | undefined, message: Message, maxAttempts: number): Step {
  const step = STEPS[message][payment?.status ?? 'none'];
  const charges = step === 'authorize' || step === 'capture';
  return charges && payment && payment.attempts >= maxAttempts ? 'reverse' : step;
}

/** A payment that was just asked for. */
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

export function refused(payment: PaymentDocument, reason: string): PaymentDocument {
  return { ...payment, status: 'REFUSED', reason };
}

/** A call that was not answered. The status stays: nothing is known. */
export function unanswered(payment: PaymentDocument, failure: string): PaymentDocument {
  return { ...payment, attempts: payment.attempts + 1, last_failure: failure };
}

/**
 * The payment after its reversal. One that had ended before keeps its reason and time; only what was found to be
 * charged after that is added.
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

function hasEnded({ status }: PaymentDocument): boolean {
  return status === 'FAILED' || status === 'REFUNDED' || status === 'REFUSED';
}

/** Whether the request for payment has its outcome. */
export function isSettled(payment: PaymentDocument): boolean {
  return payment.status === 'CAPTURED' || hasEnded(payment);
}

/** The payment as it is shown; undefined where there is nothing to show. */
export function publicPayment(payment: PaymentDocument): Payment | undefined {
  // The schema leaves out what is not shown, and refuses the statuses that are not.
  return paymentSchema.safeParse(payment).data;
}

/**
 * What to tell of a settled payment. A refunded one tells `payment.failed`, also where `payment.processed` was said
 * before: an order that is paid ignores it, and one that is not must not become so.
 */
export function outcome(payment: PaymentDocument) {
  const { order_id, payment_id, reason = 'not paid' } = payment;
  return payment.status === 'CAPTURED'
    ? { type: 'payment.processed' as const, data: { order_id, payment_id } }
    : { type: 'payment.failed' as const, data: { order_id, reason } };
}
