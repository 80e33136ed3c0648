import { createDocumentStore, type DocumentStore } from '../../shared/dapr/document-store.ts';
import type { StateStore } from '../../shared/dapr/state-store.ts';
import type { PaymentDocument } from '../domain/payment.ts';

export type PaymentStore = DocumentStore<PaymentDocument>;

/** The payments, one per order. */
export const createPaymentStore = (state: StateStore): PaymentStore =>
  createDocumentStore(state, 'payment', ({ order_id }) => order_id);
