import { REFUNDABLE_STATUSES } from '../orders/contract.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { ProblemError } from '../shared/http/problem.ts';
import { inSpan } from '../shared/telemetry/spans.ts';
import type { PaymentDocument } from './domain/payment.ts';
import type { OrderClient } from './order-client.ts';
import type { PaymentEventPublisher } from './payment-event-publisher.ts';
import type { PaymentProcessor } from './payment-processor.ts';
import type { PaymentStore } from './store/payment-store.ts';

/**
 * Refunds all that was captured for an order that was shipped. A repeated refund gives the same answer.
 *
 * @throws ProblemError 404 if there is no payment, 409 if nothing is captured or the order is not shipped yet
 */
export type RefundPayment = (orderId: string) => Promise<PaymentDocument>;

/**
 * Refunds by the shop: services/decisions/0031-refunds.md. No broker redelivers a request. So `refund.requested` is published before
 * the provider is called, and its handler completes what a crash leaves undone.
 */
export function createRefundPayment(deps: {
  store: PaymentStore;
  processor: PaymentProcessor;
  orders: OrderClient;
  publisher: PaymentEventPublisher;
  log: Logger;
}): RefundPayment {
  const { store, processor, orders, publisher, log } = deps;

  async function assertRefundable(orderId: string): Promise<void> {
    const status = (await orders.load(orderId))?.status;
    if (status && REFUNDABLE_STATUSES.has(status)) return;
    throw new ProblemError(
      409,
      'order-not-delivered',
      'The order is not shipped yet. Cancel the order instead, which refunds the payment.',
    );
  }

  async function refund(orderId: string): Promise<PaymentDocument> {
    const before = (await store.load(orderId))?.value;
    if (before?.status === 'CAPTURED') {
      await assertRefundable(orderId);
      await publisher.publishRefundRequest(before);
    }
    const payment = await processor.refund(orderId);
    await publisher
      .publishRefund(payment)
      .catch((err: unknown) =>
        log.warn({ err }, 'publishing payment.refunded failed; refund.requested will do it'),
      );
    return payment;
  }

  return (orderId) => inSpan('refund payment', {}, () => refund(orderId));
}
