import { FINAL_STATUSES, type Order } from '../../orders/contract.ts';

/** The ids of open orders are kept in so many sets: few enough to be read at once, enough not to be in each other's way. */
const BUCKETS = 32;

/** The keys of all sets of open orders. */
export const OPEN_KEYS: readonly string[] = Array.from({ length: BUCKETS }, (_, bucket) => `open:${bucket}`);

/** The key of the set that an order is in while it is open. Ids end in random digits. */
export function openKeyOf(orderId: string): string {
  return `open:${parseInt(orderId.slice(-2), 16) % BUCKETS}`;
}

/** Whether something is still to happen to the order. */
export function isOpen({ status }: Order): boolean {
  return !FINAL_STATUSES.has(status);
}

/** A set of open orders after these have come to be as they are; undefined where it stays as it is. */
export function settled(open: readonly string[], orders: readonly Order[]): string[] | undefined {
  const after = new Set(open);
  for (const order of orders)
    if (isOpen(order)) after.add(order.order_id);
    else after.delete(order.order_id);
  const isSame = after.size === open.length && open.every((id) => after.has(id));
  return isSame ? undefined : [...after];
}
