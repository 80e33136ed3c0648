import { cloudEvent } from '../shared/events.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { paymentEvents } from './contract.ts';
import { outcome, type PaymentDocument } from './payment.ts';

/** Publishes what a payment means for its order. Publishing it again gives the same events. */
export interface Announcer {
  /** That the request for payment has its outcome. */
  outcome: (payment: PaymentDocument) => Promise<void>;
  /** What was given back; nothing where nothing was. */
  refund: (payment: PaymentDocument) => Promise<void>;
}

export function announcer(sidecar: Pick<Sidecar, 'publish'>): Announcer {
  return {
    async outcome(payment) {
      const { payment_id, order_id, updated_at } = payment;
      const { type, data } = outcome(payment);
      const id = `${payment_id}:${type}`;
      await sidecar.publish(
        cloudEvent(paymentEvents, { id, type, subject: order_id, time: updated_at, data }),
      );
    },
    async refund({ payment_id, order_id, refunded, currency, updated_at }) {
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
