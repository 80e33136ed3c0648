import type { StateStore, Stored } from '../shared/state.ts';
import type { PaymentDocument } from './payment.ts';

export type PaymentStore = ReturnType<typeof paymentStore>;

const keyOf = (orderId: string) => `payment:${orderId}`;

/** The payments, one an order. */
export function paymentStore(state: StateStore) {
  return {
    load: (orderId: string) => state.get<PaymentDocument>(keyOf(orderId)),
    /** @throws ConflictError where the payment is not (or no longer) what `before` is */
    write: (payment: PaymentDocument, before: Stored<PaymentDocument> | undefined) =>
      state.write({ op: 'put', key: keyOf(payment.order_id), value: payment, etag: before?.etag }),
  };
}
