import { createBatcher } from '../../shared/util/batcher.ts';
import { createPagedIndex } from '../../shared/dapr/paged-index.ts';
import { retryOnConflict, type StateStore } from '../../shared/dapr/state-store.ts';

/** The list of finished orders, for services that rebuild their data from all orders. */
export interface FinishedOrders {
  /** Resolves when the list is written. After a crash an order may be in it twice. */
  add: (orderId: string) => Promise<void>;
  /** Up to `limit` ids from `position` on, oldest first. `next` is the next position, or null at the end. */
  page: (position: number, limit: number) => Promise<{ ids: string[]; next: number | null }>;
}

/**
 * All replicas write to the end of one list. Each writes once in about this time, which is far longer than a write takes.
 * So they seldom collide.
 */
const BATCH_DELAY_MS = 1_500;

export function createFinishedOrders(state: StateStore): FinishedOrders {
  const list = createPagedIndex(state, 'finished');

  async function addAll(orderIds: string[]): Promise<void[]> {
    await retryOnConflict(async () => state.write(...(await list.append(orderIds))));
    return orderIds.map(() => undefined);
  }

  const jitteredDelay = () => BATCH_DELAY_MS * (0.5 + Math.random());
  return {
    add: createBatcher(addAll, { maxBatch: 1_000, maxWaitMs: 5 * BATCH_DELAY_MS, lingerMs: jitteredDelay }),
    page: list.readForward,
  };
}
