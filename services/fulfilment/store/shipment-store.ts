import { createDocumentStore, type DocumentStore } from '../../shared/document-store.ts';
import type { StateStore } from '../../shared/state.ts';
import type { Shipment } from '../domain/shipment.ts';

export type ShipmentStore = DocumentStore<Shipment>;

/** The shipments, one per order. */
export const createShipmentStore = (state: StateStore): ShipmentStore =>
  createDocumentStore(state, 'shipment', ({ order_id }) => order_id);
