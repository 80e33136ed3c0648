import { Counter } from 'prom-client';
import { v7 as uuidv7 } from 'uuid';
import type { Order } from '../orders/contract.ts';
import { notFound, Problem } from '../shared/problem.ts';
import type { ServiceDeps } from '../shared/service.ts';
import { retryOnConflict, type Stored } from '../shared/state.ts';
import { inSpan } from '../shared/tracing.ts';
import type { Orders } from './orders.ts';
import type { PaymentStore } from './payment-store.ts';
import {
  authorized,
  captured,
  declined,
  isSettled,
  nextStep,
  publicPayment,
  refused,
  requested,
  reversed,
  unanswered,
  type PaymentDocument,
} from './payment.ts';
import { ProviderError, type BoundedProvider } from './provider.ts';

interface CashierDeps extends Pick<ServiceDeps, 'log' | 'metrics'> {
  store: PaymentStore;
  provider: BoundedProvider;
  cardOf: Orders['cardOf'];
  now: () => Date;
  maxAttempts: number;
}

export type Cashier = ReturnType<typeof cashier>;

/**
 * Carries out what the rules say. The provider is asked first and the payment written after it; the payment's ETag
 * decides between a charge and a cancellation that race: who writes second finds what the first one wrote, and a
 * charge that finds its order ended gives the money back.
 */
export function cashier({ store, provider, cardOf, now, maxAttempts, log, metrics }: CashierDeps) {
  const payments = new Counter({
    name: 'payments_total',
    help: 'Payments that reached a status',
    labelNames: ['status'],
    registers: [metrics],
  });
  const at = () => now().toISOString();

  async function write(
    payment: PaymentDocument,
    before: Stored<PaymentDocument> | undefined,
  ): Promise<PaymentDocument> {
    if (payment === before?.value) return payment;
    await store.write(payment, before);
    const { status, reason, attempts } = payment;
    if (status !== before?.value.status) payments.inc({ status });
    log.info({ payment_id: payment.payment_id, status, reason, attempts }, 'payment written');
    return payment;
  }

  async function reverse(before: Stored<PaymentDocument>, reason: string): Promise<PaymentDocument> {
    const payment = before.value;
    const refunded = await inSpan('reverse payment', { order_id: payment.order_id }, () =>
      provider.refund(payment.order_id),
    );
    return write(reversed(payment, refunded, reason, at()), before);
  }

  /** Asks the provider, writes its answer. @throws ProviderError where it has not answered, to be tried again */
  async function ask(
    step: 'authorize' | 'capture',
    payment: PaymentDocument,
    cardToken: string,
    before: Stored<PaymentDocument> | undefined,
  ): Promise<PaymentDocument> {
    const { order_id, amount, currency } = payment;
    const charge = { order_id, amount, currency, card_token: cardToken };
    try {
      const verdict = await inSpan(`${step} payment`, { order_id }, () => provider[step](charge));
      if (!verdict.approved) return await write(declined(payment, verdict.reason, at()), before);
      return await write(step === 'authorize' ? authorized(payment, at()) : captured(payment, at()), before);
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      const after = await write(unanswered(payment, error.reason), before);
      if (after.attempts < maxAttempts) throw error;
      return after;
    }
  }

  async function advance(order: Order, card: () => Promise<string | undefined>): Promise<PaymentDocument> {
    const before = await store.load(order.order_id);
    const step = nextStep(before?.value, 'payment.requested', maxAttempts);
    const payment = before?.value ?? requested(order, uuidv7(), at());
    if (step === 'authorize' || step === 'capture') {
      const cardToken = await card();
      if (cardToken === undefined) return end(order, 'card erased', 'the order has ended');
      return ask(step, payment, cardToken, before);
    }
    return before && step === 'reverse'
      ? reverse(before, payment.last_failure ?? 'provider unreachable')
      : payment;
  }

  /** Loads the payment itself: what made this necessary may have decided it meanwhile. */
  async function end(
    order: Order,
    message: 'order ended' | 'card erased',
    reason: string,
  ): Promise<PaymentDocument> {
    const before = await store.load(order.order_id);
    const step = nextStep(before?.value, message, maxAttempts);
    if (before && step === 'reverse') return reverse(before, reason);
    const payment = before?.value ?? requested(order, uuidv7(), at());
    return step === 'refuse' ? write(refused(payment, reason), before) : payment;
  }

  return {
    /**
     * Brings the payment to its outcome.
     *
     * @throws ProviderError, SidecarError, ConflictError: deliver the request again
     */
    async charge(order: Order): Promise<PaymentDocument> {
      let asked: Promise<string | undefined> | undefined;
      const card = () => (asked ??= cardOf(order.order_id));
      for (;;) {
        const payment = await retryOnConflict(() => advance(order, card));
        if (isSettled(payment)) return payment;
      }
    },

    /** Takes back what was charged for an order that has ended; nothing will be charged for it any more. */
    async endOrder(order: Order, reason: string): Promise<PaymentDocument> {
      return retryOnConflict(() => end(order, 'order ended', reason));
    },

    /**
     * Gives back all that was captured; again: the same answer.
     *
     * @throws Problem 404 where there is no payment, 409 where nothing is captured
     */
    async refund(orderId: string): Promise<PaymentDocument> {
      return retryOnConflict(async () => {
        const before = await store.load(orderId);
        if (!before || !publicPayment(before.value)) throw notFound('payment');
        if (nextStep(before.value, 'refund', maxAttempts) === 'reverse')
          return reverse(before, 'refunded by the shop');
        if (before.value.status === 'REFUNDED') return before.value;
        throw new Problem(409, 'nothing-captured', 'Nothing was captured that could be refunded.');
      });
    },
  };
}
