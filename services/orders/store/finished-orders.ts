import { createPagedIndex, type PagedIndex } from '../../shared/dapr/paged-index.ts';
import type { StateStore } from '../../shared/dapr/state-store.ts';
import type { WorkList } from '../../shared/dapr/work-list.ts';

/**
 * The list of all orders, for services that rebuild their data: first the watched ones, then those that the watchdog has found
 * finished. An order that moves from the first to the second meanwhile occurs twice.
 */
export interface AllOrders {
  /** Up to `limit` ids from `cursor` on. `next` is the next cursor, or null at the end. */
  page: (cursor: string | undefined, limit: number) => Promise<{ ids: string[]; next: string | null }>;
}

/** The list of finished orders. */
export const createFinishedOrders = (state: StateStore): PagedIndex => createPagedIndex(state, 'finished');

const POSITION = /^\d{1,15}$/;

export function createAllOrders(watched: Pick<WorkList, 'ids'>, finished: PagedIndex): AllOrders {
  return {
    async page(cursor = '', limit) {
      if (!POSITION.test(cursor)) {
        const ids = await watched.ids(cursor, limit);
        const last = ids.at(-1);
        if (last !== undefined) return { ids, next: last };
      }
      const { ids, next } = await finished.readForward(POSITION.test(cursor) ? Number(cursor) : 0, limit);
      return { ids, next: next === null ? null : String(next) };
    },
  };
}
