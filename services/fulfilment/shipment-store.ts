import type { StateStore, Stored } from '../shared/state.ts';
import type { Shipment } from './shipment.ts';

export type ShipmentStore = ReturnType<typeof shipmentStore>;

const keyOf = (orderId: string) => `shipment:${orderId}`;

/** The shipments, one an order. */
export function shipmentStore(state: StateStore) {
  return {
    load: (orderId: string) => state.get<Shipment>(keyOf(orderId)),
    /** @throws ConflictError where the shipment is not (or no longer) what `before` is */
    write: (shipment: Shipment, before: Stored<Shipment> | undefined) =>
      state.write({ op: 'put', key: keyOf(shipment.order_id), value: shipment, etag: before?.etag }),
  };
}
