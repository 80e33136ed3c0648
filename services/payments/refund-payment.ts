import { REFUNDABLE_STATUSES } from '../orders/contract.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { ProblemError } from '../shared/http/problem.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { inSpan } from '../shared/telemetry/spans.ts';
import type { PaymentDocument } from './domain/payment.ts';
import type { OrderClient } from './order-client.ts';
import type { PaymentEventPublisher } from './payment-event-publisher.ts';
import type { PaymentProcessor } from './payment-processor.ts';
import type { PaymentStore } from './store/payment-store.ts';

export interface RefundPayment {
  /**
   * Refunds all that was captured for an order that was shipped. A repeated refund gives the same answer.
   *
   * @throws ProblemError 404 if there is no payment, 409 if nothing is captured or the order is not shipped yet
   */
  refund: (orderId: string) => Promise<PaymentDocument>;
  /** Completes a refund that a crash interrupted, until the order shows it. The job calls this. */
  continueRefund: (orderId: string) => Promise<void>;
}

export const REFUND_JOB_PREFIX = 'refund-';
/** Longer than the broker takes to redeliver the event. */
const JOB = { dueTime: '20s', schedule: '@every 20s' };

/**
 * Refunds by the shop: services/decisions/0031-refunds.md. No broker redelivers a request. So the job is scheduled before the
 * provider is called. It ends when the order shows the refund.
 */
export function createRefundPayment(deps: {
  store: PaymentStore;
  processor: PaymentProcessor;
  orders: OrderClient;
  publisher: PaymentEventPublisher;
  sidecar: Pick<Sidecar, 'scheduleJob' | 'deleteJob'>;
  log: Logger;
}): RefundPayment {
  const { store, processor, orders, publisher, sidecar, log } = deps;

  async function assertRefundable(orderId: string): Promise<void> {
    const status = (await orders.load(orderId))?.status;
    if (status && REFUNDABLE_STATUSES.has(status)) return;
    throw new ProblemError(
      409,
      'order-not-delivered',
      'The order is not shipped yet. Cancel the order instead, which refunds the payment.',
    );
  }

  return {
    refund: (orderId) => inSpan('refund payment', {}, () => refund(orderId)),
    continueRefund: (orderId) => inSpan('refund payment', {}, () => continueRefund(orderId)),
  };

  async function refund(orderId: string): Promise<PaymentDocument> {
    if ((await store.load(orderId))?.value.status === 'CAPTURED') {
      await assertRefundable(orderId);
      await sidecar.scheduleJob(`${REFUND_JOB_PREFIX}${orderId}`, JOB);
    }
    const payment = await processor.refund(orderId);
    await publisher
      .publishRefund(payment)
      .catch((err: unknown) =>
        log.warn({ err }, 'publishing payment.refunded failed; the refund job will retry'),
      );
    return payment;
  }

  async function continueRefund(orderId: string): Promise<void> {
    const order = await orders.load(orderId);
    const payment = order && (await processor.refund(orderId));
    // Returns may have refunded a part before.
    if (payment && (order.refunded ?? 0) < payment.refunded) await publisher.publishRefund(payment);
    else await sidecar.deleteJob(`${REFUND_JOB_PREFIX}${orderId}`);
  }
}
