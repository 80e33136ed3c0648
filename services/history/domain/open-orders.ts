import { FINAL_STATUSES, type Order } from '../../orders/contract.ts';

/** The number of sets of open orders: few enough to load at once, and enough to avoid conflicts. */
const BUCKETS = 32;

/** The keys of all sets of open orders. */
export const OPEN_KEYS: readonly string[] = Array.from({ length: BUCKETS }, (_, bucket) => `open:${bucket}`);

/** The key of an open order's set. Ids end in random digits. */
export function openKeyOf(orderId: string): string {
  return `open:${parseInt(orderId.slice(-2), 16) % BUCKETS}`;
}

/** Whether the order is not final. */
export function isOpen({ status }: Order): boolean {
  return !FINAL_STATUSES.has(status);
}

/** A set of open orders after these changes; undefined if it stays the same. */
export function updateOpenSet(open: readonly string[], orders: readonly Order[]): string[] | undefined {
  const after = new Set(open);
  for (const order of orders)
    if (isOpen(order)) after.add(order.order_id);
    else after.delete(order.order_id);
  const isSame = after.size === open.length && open.every((id) => after.has(id));
  return isSame ? undefined : [...after];
}
