import { ERASED_REASON } from '../orders/contract.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import type { OrderClient } from './order-client.ts';
import type { ReadModelStore } from './store/read-model-store.ts';

export interface ReasonErasure {
  /** Starts the erasure after the customer's account was deleted. Resolves when the job is scheduled. */
  begin: (customerId: string) => Promise<void>;
  /** Handles a run of the job: erases the next page of the customer's orders. */
  continueErasure: (customerId: string) => Promise<void>;
}

export const ERASURE_JOB_PREFIX = 'erase-reasons-';
/** The delay before the first run, so that the newest orders are listed. The job runs until it is deleted. */
const JOB = { dueTime: '10s', schedule: '@every 5s' };
/** The orders per run. Each may need a write in `orders`. */
const PAGE_SIZE = 20;

/**
 * Erases the cancellation reasons of a customer whose account was deleted, first in the orders' streams and then in the
 * read model. Only `history` has a list of a customer's orders. After a crash, a page is repeated with the same effect.
 */
export function createReasonErasure(deps: {
  sidecar: Pick<Sidecar, 'state' | 'scheduleJob' | 'deleteJob'>;
  orders: OrderClient;
  readModel: Pick<ReadModelStore, 'list' | 'replay'>;
}): ReasonErasure {
  const { sidecar, orders, readModel } = deps;
  const { state } = sidecar;
  const jobOf = (customerId: string) => `${ERASURE_JOB_PREFIX}${customerId}`;
  const cursorKey = (customerId: string) => `erasure:${customerId}`;

  async function erase(orderIds: string[]): Promise<void> {
    if (orderIds.length === 0) return;
    // By the streams, because an order that is open here may already be cancelled.
    const { items } = await orders.list({ ids: orderIds.join(',') });
    const cancelled = items.filter(({ status }) => status === 'CANCELLED');
    await Promise.all(
      cancelled.map(async (order) =>
        readModel.replay(order.reason === ERASED_REASON ? order : await orders.eraseReason(order.order_id)),
      ),
    );
  }

  return {
    begin: (customerId) => sidecar.scheduleJob(jobOf(customerId), JOB),

    async continueErasure(customerId) {
      const key = cursorKey(customerId);
      const place = await state.get<{ cursor: string }>(key);
      const { items, nextCursor } = await readModel.list({
        customerId,
        status: undefined,
        cursor: place?.value.cursor,
        limit: PAGE_SIZE,
      });
      await erase(items.map(({ order_id }) => order_id));
      if (nextCursor !== null)
        return state.write({ op: 'put', key, value: { cursor: nextCursor }, etag: place?.etag });
      if (place) await state.write({ op: 'delete', key, etag: place.etag });
      await sidecar.deleteJob(jobOf(customerId));
    },
  };
}
