import { createDocumentStore, type DocumentStore } from '../../shared/dapr/document-store.ts';
import type { StateStore } from '../../shared/dapr/state-store.ts';
import type { Shipment } from '../domain/shipment.ts';

export type ShipmentStore = DocumentStore<Shipment>;

/** The shipments, one per order. */
export const createShipmentStore = (state: StateStore): ShipmentStore =>
  createDocumentStore(state, 'shipment', ({ order_id }) => order_id);
