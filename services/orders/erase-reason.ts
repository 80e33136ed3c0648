import { notFound, unavailable } from '../shared/problem.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { retryOnConflict } from '../shared/state.ts';
import type { Order } from './contract.ts';
import { replay, withoutFreeText } from './order.ts';
import type { OrderStore } from './order-store.ts';

/** Erases what somebody wrote as the reason of a cancellation; gives the order as it is then. Again: the same. */
export type EraseReason = (orderId: string) => Promise<Order>;

export function reasonEraser({
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
      await store.save(loaded, erased);
      return replay(orderId, erased);
    });

  /** Fulfilment was told the reason when it stopped the parcel of a paid order. */
  async function eraseFromShipment(orderId: string): Promise<void> {
    const { status } = await sidecar.invoke('fulfilment', {
      method: 'DELETE',
      path: `/shipments/${orderId}/reason`,
    });
    if (status !== 204) throw unavailable();
  }
}
