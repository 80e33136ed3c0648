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

export function finishedOrders(state: StateStore): FinishedOrders {
  const list = pagedIndex(state, 'finished');

  async function addAll(orderIds: string[]): Promise<void[]> {
    await retryOnConflict(async () => state.write(...(await list.append(orderIds))));
    return orderIds.map(() => undefined);
  }

  return {
    add: groupCommit(addAll),
    async page(position, limit) {
      const end = position + limit;
      // The list is read from its end back: what lies before `position` comes along where it ends before `end`.
      const { ids, nextCursor } = await list.page(cursorBefore(end), limit);
      const start = nextCursor === null ? 0 : positionOf(nextCursor);
      const found = ids.toReversed().slice(position - start);
      return { ids: found, next: found.length < limit ? null : end };
    },
  };
}

/** The list's cursors, which count from its beginning. */
const cursorBefore = (position: number) => Buffer.from(`before:${position}`).toString('base64url');
const positionOf = (cursor: string) =>
  Number(Buffer.from(cursor, 'base64url').toString().slice('before:'.length));
