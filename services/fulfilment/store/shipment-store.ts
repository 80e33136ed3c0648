import type { StateStore, Stored } from '../../shared/state.ts';
import type { Shipment } from '../domain/shipment.ts';

export type ShipmentStore = ReturnType<typeof createShipmentStore>;

const keyOf = (orderId: string) => `shipment:${orderId}`;

/** The shipments, one per order. */
export function createShipmentStore(state: StateStore) {
  return {
    load: (orderId: string) => state.get<Shipment>(keyOf(orderId)),
    /** @throws ConflictError if the stored shipment is not `before` */
    save: (shipment: Shipment, before: Stored<Shipment> | undefined) =>
      state.write({ op: 'put', key: keyOf(shipment.order_id), value: shipment, etag: before?.etag }),
  };
}
