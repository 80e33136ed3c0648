import type { Order } from '../../orders/contract.ts';
import type { StateStore, Stored, Write } from '../../shared/state.ts';
import { isOpen, OPEN_KEYS, openKeyOf, settled } from '../domain/open-orders.ts';

export interface OpenOrderStore {
  /** The ids of all open orders. */
  ids: () => Promise<string[]>;
  /**
   * The writes that put these orders into the sets of open orders, or take them out, to go into the same transaction as
   * the orders; and those that were not in yet. A final order stays final, but one that goes in must be written along,
   * so that who makes it final meanwhile comes into conflict.
   *
   * @param keys of the sets that have been read
   * @param read where they are
   */
  settle: (
    orders: readonly Order[],
    keys: ReadonlySet<string>,
    read: ReadonlyMap<string, Stored<unknown>>,
  ) => Promise<{ writes: Write[]; opened: Order[] }>;
}

export function openOrderStore(state: StateStore): OpenOrderStore {
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
      const writes: Write[] = [];
      const opened: Order[] = [];
      for (const [key, turned] of byKey) {
        const stored = read.get(key) ?? more.get(key);
        const open = idsIn(stored);
        const after = settled(open, turned);
        if (!after) continue;
        writes.push({ op: 'put', key, value: after, etag: stored?.etag });
        opened.push(...turned.filter((order) => isOpen(order) && !open.includes(order.order_id)));
      }
      return { writes, opened };
    },
  };
}

function idsIn(stored: Stored<unknown> | undefined): string[] {
  return Array.isArray(stored?.value) ? (stored.value as string[]) : [];
}
