import type { Order } from '../../orders/contract.ts';
import type { StateStore, StateEntry, StateOperation } from '../../shared/dapr/state-store.ts';
import { isOpen, OPEN_KEYS, openKeyOf, updateOpenSet } from '../domain/open-orders.ts';

export interface OpenOrderStore {
  /** The ids of all open orders. */
  ids: () => Promise<string[]>;
  /**
   * The writes that add these orders to the sets of open orders or remove them, and the orders that are added. They belong
   * in the transaction that saves the orders. An added order must be saved too, so that a concurrent final version
   * conflicts.
   *
   * @param keys the keys of the loaded sets
   * @param read the loaded sets
   */
  settle: (
    orders: readonly Order[],
    keys: ReadonlySet<string>,
    read: ReadonlyMap<string, StateEntry<unknown>>,
  ) => Promise<{ writes: StateOperation[]; opened: Order[] }>;
}

export function createOpenOrderStore(state: StateStore): OpenOrderStore {
  return {
    async ids() {
      const sets = await state.getMany(OPEN_KEYS);
      return [...sets.values()].flatMap(idsIn);
    },

    async settle(orders, keys, read) {
      const byKey = new Map<string, Order[]>();
      for (const order of orders) {
        const key = openKeyOf(order.order_id);
        byKey.set(key, [...(byKey.get(key) ?? []), order]);
      }
      const more = await state.getMany([...byKey.keys()].filter((key) => !keys.has(key)));
      const writes: StateOperation[] = [];
      const opened: Order[] = [];
      for (const [key, turned] of byKey) {
        const stored = read.get(key) ?? more.get(key);
        const open = idsIn(stored);
        const after = updateOpenSet(open, turned);
        if (!after) continue;
        writes.push({ op: 'put', key, value: after, etag: stored?.etag });
        opened.push(...turned.filter((order) => isOpen(order) && !open.includes(order.order_id)));
      }
      return { writes, opened };
    },
  };
}

function idsIn(stored: StateEntry<unknown> | undefined): string[] {
  return Array.isArray(stored?.value) ? (stored.value as string[]) : [];
}
