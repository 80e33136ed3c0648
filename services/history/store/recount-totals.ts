import { randomUUID } from 'node:crypto';
import type { Order } from '../../orders/contract.ts';
import { createPagedIndex } from '../../shared/dapr/paged-index.ts';
import { ConflictError } from '../../shared/dapr/sidecar-call.ts';
import { retryOnConflict, type StateStore, type StateEntry } from '../../shared/dapr/state-store.ts';
import {
  toCountable,
  emptyTotals,
  totalsOf,
  type CountableOrder,
  type StoredTotals,
} from '../domain/read-model.ts';
import { listOf, orderKey, totalsKey } from './read-model-store.ts';

/**
 * Counts a customer's totals from the orders in the customer's list, once per rebuild.
 *
 * @throws ConflictError if another replica has started a recount
 */
export type RecountTotals = (customerId: string, rebuild: string) => Promise<void>;

const PAGE_SIZE = 100;
/** The retries of the last write, which conflicts with every change of the customer's orders. */
const MAX_ATTEMPTS = 50;

/**
 * Recounts the totals while orders change. A mark in the totals announces the recount. From then on, every write of an
 * order also stores in the totals how the order counts. Orders that have not changed since the mark may be read at any
 * time.
 */
export function createRecountTotals(state: StateStore): RecountTotals {
  return async (customerId, rebuild) => {
    const by = randomUUID();
    const key = totalsKey(customerId);
    const write = (value: StoredTotals, stored: StateEntry<StoredTotals> | undefined) =>
      state.write({ op: 'put', key, value, etag: stored?.etag });

    const isDue = await retryOnConflict(async () => {
      const stored = await state.get<StoredTotals>(key);
      if (stored?.value.rebuild === rebuild) return false;
      await write({ ...emptyTotals(customerId), ...stored?.value, recount: { by, changed: {} } }, stored);
      return true;
    }, MAX_ATTEMPTS);
    if (!isDue) return;
    const orders = await ordersOf(customerId);
    const isDone = await retryOnConflict(async () => {
      const stored = await state.get<StoredTotals>(key);
      if (stored?.value.recount?.by !== by) return false;
      const now = { ...orders, ...stored.value.recount.changed };
      await write({ ...totalsOf(customerId, Object.values(now)), rebuild }, stored);
      return true;
    }, MAX_ATTEMPTS);
    if (!isDone) throw new ConflictError(`another writer is counting the totals of ${customerId}`);
  };

  async function ordersOf(customerId: string): Promise<Record<string, CountableOrder>> {
    const list = createPagedIndex(state, listOf(customerId));
    const counted: Record<string, CountableOrder> = {};
    for (let cursor: string | null | undefined; cursor !== null;) {
      const { ids, nextCursor } = await list.page(cursor, PAGE_SIZE);
      const found = await state.getMany<Order>(ids.map(orderKey));
      for (const id of ids) {
        const order = found.get(orderKey(id))?.value;
        if (order) counted[id] = toCountable(order);
      }
      cursor = nextCursor;
    }
    return counted;
  }
}
