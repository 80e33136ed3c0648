import { createEventPublisher } from '../shared/dapr/event-publisher.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { paymentEvents } from './contract.ts';
import { outcomeEvent, type PaymentDocument } from './domain/payment.ts';

/** Publishes the events of a payment. A repeated publish carries the same event. */
export interface PaymentEventPublisher {
  publishOutcome: (payment: PaymentDocument) => Promise<void>;
  /** Publishes the refunded amount, if there is any. */
  publishRefund: (payment: PaymentDocument) => Promise<void>;
  /** Publishes that the shop refunds the order. Only `payments` receives it. */
  publishRefundRequest: (payment: PaymentDocument) => Promise<void>;
}

export function createPaymentEventPublisher(sidecar: Sidecar): PaymentEventPublisher {
  const { publish } = createEventPublisher(sidecar, paymentEvents);
  return {
    async publishOutcome(payment) {
      const { payment_id, order_id, updated_at } = payment;
      const { type, data } = outcomeEvent(payment);
      const id = `${payment_id}:${type}`;
      await publish(type, { id, subject: order_id, time: updated_at, data });
    },
    async publishRefund({ payment_id, order_id, refunded, currency, updated_at }) {
      if (refunded === 0) return;
      await publish('payment.refunded', {
        id: `${payment_id}:payment.refunded:${refunded}`,
        subject: order_id,
        time: updated_at,
        data: { order_id, payment_id, refunded, currency },
      });
    },
    async publishRefundRequest({ payment_id, order_id, updated_at }) {
      await publish('refund.requested', {
        id: `${payment_id}:refund.requested`,
        subject: order_id,
        time: updated_at,
        data: { order_id, payment_id },
      });
    },
  };
}
