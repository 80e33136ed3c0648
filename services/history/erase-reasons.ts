import { ERASED_REASON } from '../orders/contract.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import type { Orders } from './orders.ts';
import type { ReadModelStore } from './store/read-model-store.ts';

export interface ReasonErasure {
  /** A customer's account is gone: what the customer wrote is to be erased. Resolves when that will happen. */
  begin: (customerId: string) => Promise<void>;
  /** What the job does: the next page of the customer's orders. */
  goOn: (customerId: string) => Promise<void>;
}

export const ERASURE_JOB_PREFIX = 'erase-reasons-';
/** What was ordered and cancelled in the last moment is listed by then. A job ticks on until it is removed. */
const JOB = { dueTime: '10s', schedule: '@every 5s' };
/** Orders in a tick; each may cost orders a write. */
const PAGE = 20;

/**
 * Erases the reasons that a customer gave for cancellations, when the account is erased: in the orders' streams, and then
 * here. Only history has a list of a customer's orders. A crash leaves a page to be done again, with the same effect.
 */
export function reasonErasure(deps: {
  sidecar: Pick<Sidecar, 'state' | 'schedule' | 'unschedule'>;
  orders: Orders;
  readModel: Pick<ReadModelStore, 'list' | 'replay'>;
}): ReasonErasure {
  const { sidecar, orders, readModel } = deps;
  const { state } = sidecar;
  const jobOf = (customerId: string) => `${ERASURE_JOB_PREFIX}${customerId}`;
  const placeKey = (customerId: string) => `erasure:${customerId}`;

  async function erase(orderIds: string[]): Promise<void> {
    if (orderIds.length === 0) return;
    // By their streams: an order may have been cancelled that is still open here.
    const { items } = await orders.list({ ids: orderIds.join(',') });
    const cancelled = items.filter(({ status }) => status === 'CANCELLED');
    await Promise.all(
      cancelled.map(async (order) =>
        readModel.replay(order.reason === ERASED_REASON ? order : await orders.eraseReason(order.order_id)),
      ),
    );
  }

  return {
    begin: (customerId) => sidecar.schedule(jobOf(customerId), JOB),

    async goOn(customerId) {
      const key = placeKey(customerId);
      const place = await state.get<{ cursor: string }>(key);
      const { items, nextCursor } = await readModel.list({
        customerId,
        status: undefined,
        cursor: place?.value.cursor,
        limit: PAGE,
      });
      await erase(items.map(({ order_id }) => order_id));
      if (nextCursor !== null)
        return state.write({ op: 'put', key, value: { cursor: nextCursor }, etag: place?.etag });
      if (place) await state.write({ op: 'delete', key, etag: place.etag });
      await sidecar.unschedule(jobOf(customerId));
    },
  };
}
