import { randomUUID } from 'node:crypto';
import type { Order } from '../../orders/contract.ts';
import { pagedIndex } from '../../shared/paged-index.ts';
import { ConflictError } from '../../shared/sidecar-call.ts';
import { retryOnConflict, type StateStore, type Stored } from '../../shared/state.ts';
import { countedOf, noTotals, totalsOf, type Counted, type KeptTotals } from '../domain/read-model.ts';
import { listOf, orderKey, totalsKey } from './read-model-store.ts';

/**
 * Counts a customer's totals from the orders in the customer's list, once per rebuild.
 *
 * @throws ConflictError if another replica has started a recount
 */
export type RecountTotals = (customerId: string, rebuild: string) => Promise<void>;

const PAGE = 100;
/** The retries of the last write, which conflicts with every change of the customer's orders. */
const TRIES = 50;

/**
 * Recounts the totals while orders change. A mark in the totals announces the recount. From then on, every write of an
 * order also stores in the totals how the order counts. Orders that have not changed since the mark may be read at any
 * time.
 */
export function totalsRecounter(state: StateStore): RecountTotals {
  return async (customerId, rebuild) => {
    const by = randomUUID();
    const key = totalsKey(customerId);
    const write = (value: KeptTotals, stored: Stored<KeptTotals> | undefined) =>
      state.write({ op: 'put', key, value, etag: stored?.etag });

    const isDue = await retryOnConflict(async () => {
      const stored = await state.get<KeptTotals>(key);
      if (stored?.value.rebuild === rebuild) return false;
      await write({ ...noTotals(customerId), ...stored?.value, recount: { by, changed: {} } }, stored);
      return true;
    }, TRIES);
    if (!isDue) return;
    const orders = await ordersOf(customerId);
    const isDone = await retryOnConflict(async () => {
      const stored = await state.get<KeptTotals>(key);
      if (stored?.value.recount?.by !== by) return false;
      const now = { ...orders, ...stored.value.recount.changed };
      await write({ ...totalsOf(customerId, Object.values(now)), rebuild }, stored);
      return true;
    }, TRIES);
    if (!isDone) throw new ConflictError(`another writer is counting the totals of ${customerId}`);
  };

  async function ordersOf(customerId: string): Promise<Record<string, Counted>> {
    const list = pagedIndex(state, listOf(customerId));
    const counted: Record<string, Counted> = {};
    for (let cursor: string | null | undefined; cursor !== null;) {
      const { ids, nextCursor } = await list.page(cursor, PAGE);
      const found = await state.getMany<Order>(ids.map(orderKey));
      for (const id of ids) {
        const order = found.get(orderKey(id))?.value;
        if (order) counted[id] = countedOf(order);
      }
      cursor = nextCursor;
    }
    return counted;
  }
}
