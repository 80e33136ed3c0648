import { cloudEvent } from '../shared/dapr/cloud-event.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { paymentEvents } from './contract.ts';
import { outcomeEvent, type PaymentDocument } from './domain/payment.ts';

/** Publishes the events of a payment. A repeated publish carries the same event. */
export interface PaymentEventPublisher {
  publishOutcome: (payment: PaymentDocument) => Promise<void>;
  /** Publishes the refunded amount, if there is any. */
  publishRefund: (payment: PaymentDocument) => Promise<void>;
}

export function createPaymentEventPublisher(sidecar: Pick<Sidecar, 'publish'>): PaymentEventPublisher {
  return {
    async publishOutcome(payment) {
      const { payment_id, order_id, updated_at } = payment;
      const { type, data } = outcomeEvent(payment);
      const id = `${payment_id}:${type}`;
      await sidecar.publish(
        cloudEvent(paymentEvents, { id, type, subject: order_id, time: updated_at, data }),
      );
    },
    async publishRefund({ payment_id, order_id, refunded, currency, updated_at }) {
      if (refunded === 0) return;
      await sidecar.publish(
        cloudEvent(paymentEvents, {
          id: `${payment_id}:payment.refunded:${refunded}`,
          type: 'payment.refunded',
          subject: order_id,
          time: updated_at,
          data: { order_id, payment_id, refunded, currency },
        }),
      );
    },
  };
}
