import { groupCommit } from '../shared/group-commit.ts';
import { pagedIndex } from '../shared/paged-index.ts';
import { retryOnConflict, type StateStore } from '../shared/state.ts';

/** The list of the orders that nothing happens to any more, for those who replay them all. */
export interface FinishedOrders {
  /** Resolves when it is written. An order may be added twice, after a crash. */
  add: (orderId: string) => Promise<void>;
  /**
   * Up to `limit` ids from `position` on, oldest first, so that what is made of them has their order; and where to go
   * on (null: there are no more).
   */
  page: (position: number, limit: number) => Promise<{ ids: string[]; next: number | null }>;
}

/**
 * All replicas write to the end of one list. So each does it once in about this time, which is far longer than it takes, and
 * they seldom get in each other's way: nobody who asks waits for it. Milliseconds.
 */
const GATHER = 1_500;

export function finishedOrders(state: StateStore): FinishedOrders {
  const list = pagedIndex(state, 'finished');

  async function addAll(orderIds: string[]): Promise<void[]> {
    await retryOnConflict(async () => state.write(...(await list.append(orderIds))));
    return orderIds.map(() => undefined);
  }

  const soon = () => GATHER * (0.5 + Math.random());
  return {
    add: groupCommit(addAll, { maxBatch: 1_000, maxWait: 5 * GATHER, gatherMs: soon }),
    page: list.from,
  };
}
