import type { StateStore, Stored } from '../../shared/state.ts';
import type { PaymentDocument } from '../domain/payment.ts';

export type PaymentStore = ReturnType<typeof createPaymentStore>;

const keyOf = (orderId: string) => `payment:${orderId}`;

/** The payments, one per order. */
export function createPaymentStore(state: StateStore) {
  return {
    load: (orderId: string) => state.get<PaymentDocument>(keyOf(orderId)),
    /** @throws ConflictError if the stored payment is not `before` */
    save: (payment: PaymentDocument, before: Stored<PaymentDocument> | undefined) =>
      state.write({ op: 'put', key: keyOf(payment.order_id), value: payment, etag: before?.etag }),
  };
}
