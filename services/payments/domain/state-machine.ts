import type { PaymentDocument } from '../contract.ts';

/**
 * The statuses of a payment. Two are internal. REQUESTED: the provider was called and has not answered. REFUSED: the order ended
 * before its payment was requested, so no charge is allowed.
 */
export type PaymentStatus = PaymentDocument['status'];

/**
 * What can change a payment: the order requests it, the order ends, or the shop refunds it. `card-erased`: `orders` has no card
 * any more, because the payment is decided or the order has ended.
 */
export type PaymentTrigger = 'payment.requested' | 'card-erased' | 'order-ended' | 'refund';

/**
 * What to do next. `reverse`: have the provider give back whatever it may have taken, and end the payment. `block`: save that no
 * charge is allowed.
 */
export type Step = 'authorize' | 'capture' | 'reverse' | 'block' | 'nothing';

interface Transition {
  /** The statuses in which the transition applies. NONE: there is no payment yet. */
  from: readonly (PaymentStatus | 'NONE')[];
  /** The call to the provider, or the write, that changes the status. */
  step: Step;
}

/** The state machine of payments. In every other status a trigger changes nothing. */
export const TRANSITIONS: Readonly<Record<PaymentTrigger, readonly Transition[]>> = {
  'payment.requested': [
    { from: ['NONE', 'REQUESTED'], step: 'authorize' },
    { from: ['AUTHORIZED'], step: 'capture' },
    // An earlier delivery of this request may have charged after the payment ended.
    { from: ['FAILED', 'REFUNDED', 'REFUSED'], step: 'reverse' },
  ],
  // A payment that is not decided now belongs to an order that has ended. `orders` erases the card of a paid order only after
  // it has received the decision, which was saved here before.
  'card-erased': [
    { from: ['NONE'], step: 'block' },
    { from: ['REQUESTED', 'AUTHORIZED'], step: 'reverse' },
  ],
  'order-ended': [
    // guard: block the payment of an ended order
    { from: ['NONE'], step: 'block' },
    { from: ['REQUESTED', 'AUTHORIZED', 'CAPTURED'], step: 'reverse' },
  ],
  refund: [{ from: ['CAPTURED'], step: 'reverse' }],
};

/**
 * Decides what to do next. After `maxAttempts` calls without an answer the provider is not asked to charge again. What it may
 * have done is reversed, as in card networks (the time-out reversal of ISO 8583).
 */
export function nextStep(
  payment: { status: PaymentStatus; attempts: number } | undefined,
  trigger: PaymentTrigger,
  maxAttempts: number,
): Step {
  const status = payment?.status ?? 'NONE';
  const step = TRANSITIONS[trigger].find(({ from }) => from.includes(status))?.step ?? 'nothing';
  const charges = step === 'authorize' || step === 'capture';
  return charges && payment && payment.attempts >= maxAttempts ? 'reverse' : step;
}
