import { notFound, unavailable } from '../shared/http/problem.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { retryOnConflict } from '../shared/dapr/state-store.ts';
import type { Order } from './contract.ts';
import { replay, withoutFreeText } from './domain/order.ts';
import type { OrderStore } from './store/order-store.ts';

/** Erases the reason that a customer wrote for a cancellation, and returns the order. Erasing again changes nothing. */
export type EraseReason = (orderId: string) => Promise<Order>;

export function createEraseReason({
  store,
  sidecar,
}: {
  store: OrderStore;
  sidecar: Pick<Sidecar, 'invoke'>;
}): EraseReason {
  return (orderId) =>
    retryOnConflict(async () => {
      const loaded = await store.load(orderId);
      if (!loaded) throw notFound('order');
      const { events } = loaded.value;
      const order = replay(orderId, events);
      const erased = withoutFreeText(events);
      if (erased === events) return order;
      // First, so that an erased order proves that no copy of the reason is left.
      if (events.some(({ type }) => type === 'order.paid')) await eraseFromShipment(orderId);
      await store.save({ ...loaded.value, events: erased }, loaded);
      return replay(orderId, erased);
    });

  /** `fulfilment` got a copy of the reason when it stopped the parcel of a paid order. */
  async function eraseFromShipment(orderId: string): Promise<void> {
    const { status } = await sidecar.invoke('fulfilment', {
      method: 'DELETE',
      path: `/shipments/${orderId}/reason`,
    });
    if (status !== 204) throw unavailable();
  }
}
