import { v7 as uuidv7 } from 'uuid';
import type { Order } from '../orders/contract.ts';
import { notFound, ProblemError } from '../shared/http/problem.ts';
import { retryOnConflict, type StateEntry } from '../shared/dapr/state-store.ts';
import { createCounter, createHistogram, type Metrics } from '../shared/telemetry/metrics.ts';
import { addRequestFields } from '../shared/telemetry/request-context.ts';
import { inSpan, recordCompensation } from '../shared/telemetry/spans.ts';
import {
  authorized,
  blocked,
  captured,
  declined,
  isSettled,
  publicPayment,
  requested,
  reversed,
  withFailedAttempt,
  withReturn,
  type PaymentDocument,
} from './domain/payment.ts';
import { nextStep } from './domain/state-machine.ts';
import { METRICS } from './metrics.ts';
import type { OrderClient } from './order-client.ts';
import { ProviderError, type TimeLimitedProvider } from './provider.ts';
import type { PaymentStore } from './store/payment-store.ts';

interface PaymentProcessorDeps {
  metrics: Metrics;
  store: PaymentStore;
  provider: TimeLimitedProvider;
  cardOf: OrderClient['cardOf'];
  now: () => Date;
  maxAttempts: number;
}

export type PaymentProcessor = ReturnType<typeof createPaymentProcessor>;

/**
 * Carries out the steps of the state machine: call the provider, then save the payment. The payment's ETag decides between a
 * charge and a cancellation that race. The second writer finds what the first one wrote. A charge that finds its order ended
 * is reversed.
 */
export function createPaymentProcessor(deps: PaymentProcessorDeps) {
  const { store, provider, cardOf, now, maxAttempts } = deps;
  const processed = createCounter(deps.metrics, METRICS.processed);
  const providerDuration = createHistogram(deps.metrics, METRICS.providerDuration);
  const at = () => now().toISOString();

  async function save(
    payment: PaymentDocument,
    before: StateEntry<PaymentDocument> | undefined,
  ): Promise<PaymentDocument> {
    if (payment === before?.value) return payment;
    await store.save(payment, before);
    const { status, reason } = payment;
    if (status !== before?.value.status && isOutcome(status)) processed.inc({ status });
    const more = reason === undefined ? {} : { payment_reason: reason };
    addRequestFields({ payment_id: payment.payment_id, payment_status: status, ...more });
    return payment;
  }

  async function reverse(before: StateEntry<PaymentDocument>, reason: string): Promise<PaymentDocument> {
    const payment = before.value;
    const refunded = await inSpan('reverse payment', {}, () => {
      recordCompensation(reason);
      return provider.refund(payment.order_id);
    });
    return save(reversed(payment, refunded, reason, at()), before);
  }

  /** Saves the provider's answer. @throws ProviderError if it has not answered and is to be called again */
  async function callProvider(
    step: 'authorize' | 'capture',
    payment: PaymentDocument,
    cardToken: string,
    before: StateEntry<PaymentDocument> | undefined,
  ): Promise<PaymentDocument> {
    const { order_id, amount, currency } = payment;
    const charge = { order_id, amount, currency, card_token: cardToken };
    const startedAt = performance.now();
    const measure = (outcome: 'approved' | 'declined' | 'unanswered') =>
      providerDuration.observe({ step, outcome }, (performance.now() - startedAt) / 1000);
    try {
      const decision = await inSpan(`${step} payment`, {}, () => provider[step](charge));
      measure(decision.approved ? 'approved' : 'declined');
      if (!decision.approved) return await save(declined(payment, decision.reason, at()), before);
      return await save(step === 'authorize' ? authorized(payment, at()) : captured(payment, at()), before);
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      measure('unanswered');
      const after = await save(withFailedAttempt(payment, error.reason), before);
      if (after.attempts < maxAttempts) throw error;
      return after;
    }
  }

  async function nextAttempt(
    order: Order,
    card: () => Promise<string | undefined>,
  ): Promise<PaymentDocument> {
    const before = await store.load(order.order_id);
    const step = nextStep(before?.value, 'payment.requested', maxAttempts);
    const payment = before?.value ?? requested(order, uuidv7(), at());
    if (step === 'authorize' || step === 'capture') {
      const cardToken = await card();
      if (cardToken === undefined) return end(order, 'card-erased', 'the order has ended');
      return callProvider(step, payment, cardToken, before);
    }
    return before && step === 'reverse'
      ? reverse(before, payment.last_failure ?? 'provider unreachable')
      : payment;
  }

  /** Loads the payment itself: it may have been decided meanwhile. */
  async function end(
    order: Order,
    trigger: 'order-ended' | 'card-erased',
    reason: string,
  ): Promise<PaymentDocument> {
    const before = await store.load(order.order_id);
    const step = nextStep(before?.value, trigger, maxAttempts);
    if (before && step === 'reverse') return reverse(before, reason);
    const payment = before?.value ?? requested(order, uuidv7(), at());
    return step === 'block' ? save(blocked(payment, reason), before) : payment;
  }

  return {
    /**
     * Brings the payment to its outcome.
     *
     * @throws ProviderError, SidecarError, ConflictError if the request is to be redelivered
     */
    async charge(order: Order): Promise<PaymentDocument> {
      let cardToken: Promise<string | undefined> | undefined;
      const card = () => (cardToken ??= cardOf(order.order_id));
      for (;;) {
        const payment = await retryOnConflict(() => nextAttempt(order, card));
        if (isSettled(payment)) return payment;
      }
    },

    /** Reverses the charge of an order that has ended, and blocks further ones. */
    async reverseForEndedOrder(order: Order, reason: string): Promise<PaymentDocument> {
      return retryOnConflict(() => end(order, 'order-ended', reason));
    },

    /**
     * Refunds all that was captured. A repeated refund gives the same answer.
     *
     * @throws ProblemError 404 if there is no payment, 409 if nothing is captured
     */
    async refund(orderId: string): Promise<PaymentDocument> {
      return retryOnConflict(async () => {
        const before = await store.load(orderId);
        if (!before || !publicPayment(before.value)) throw notFound('payment');
        if (nextStep(before.value, 'refund', maxAttempts) === 'reverse')
          return reverse(before, 'refunded by the shop');
        if (before.value.status === 'REFUNDED') return before.value;
        throw nothingCaptured();
      });
    },

    /**
     * Refunds the price of a return once, and never more than is left of what was captured.
     *
     * @throws ProblemError 404 if there is no payment, 409 if nothing is captured
     */
    async refundReturn(orderId: string, returnId: string, amount: number): Promise<PaymentDocument> {
      return retryOnConflict(async () => {
        const before = await store.load(orderId);
        if (!before) throw notFound('payment');
        const { returns = {}, status } = before.value;
        if (returns[returnId] !== undefined) return before.value;
        if (status !== 'CAPTURED' && status !== 'REFUNDED') throw nothingCaptured();
        const refund = await inSpan('refund return', {}, () =>
          provider.refundPart({ order_id: orderId, return_id: returnId, amount }),
        );
        return save(withReturn(before.value, returnId, refund, at()), before);
      });
    },
  };
}

const nothingCaptured = () =>
  new ProblemError(409, 'nothing-captured', 'The order has no captured payment to refund.');

type Outcome = (typeof METRICS.processed.labels.status)[number];
const OUTCOMES: readonly string[] = METRICS.processed.labels.status;
const isOutcome = (status: PaymentDocument['status']): status is Outcome => OUTCOMES.includes(status);
