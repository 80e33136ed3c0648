import { PAID_STATUSES, type Order } from '../../orders/contract.ts';
import type { CustomerTotals } from '../contract.ts';

/** The fields of an order that count towards its customer's totals. */
export type CountableOrder = Pick<Order, 'status' | 'currency' | 'total' | 'refunded'>;

/** The totals in the state store. */
export interface StoredTotals extends CustomerTotals {
  /** The last rebuild that counted these totals. */
  rebuild?: string;
  /** A recount in progress: who counts, and the orders that have changed since its start. */
  recount?: { by: string; changed: Record<string, CountableOrder> };
}

/** The known documents: orders by id, and totals by customer. */
export interface Known {
  orders: ReadonlyMap<string, Order>;
  totals: ReadonlyMap<string, StoredTotals>;
}

/** The documents that the incoming versions change. */
export interface Changes {
  /** The orders that are new or newer. */
  orders: Order[];
  /** The orders that were unknown, which are added to the lists. */
  firstSeen: Order[];
  totals: StoredTotals[];
}

/** The newest version of each order. Of equal versions the first one is used, because each contains the whole order. */
export function newestOf(orders: readonly Order[]): Order[] {
  const newest = new Map<string, Order>();
  for (const order of orders) {
    const other = newest.get(order.order_id);
    if (!other || other.version < order.version) newest.set(order.order_id, order);
  }
  return [...newest.values()];
}

/**
 * Applies versions of different orders. A known or older version changes nothing.
 *
 * @param replayed the orders from their streams, which also correct known versions
 */
export function project(
  known: Known,
  incoming: readonly Order[],
  replayed: ReadonlySet<string> = new Set(),
): Changes {
  const totals = new Map<string, StoredTotals>();
  const orders = incoming.filter((order) => {
    const before = known.orders.get(order.order_id);
    if (before && !replaces(order, before, replayed.has(order.order_id))) return false;
    const customer = order.customer_id;
    const counted = totals.get(customer) ?? known.totals.get(customer) ?? emptyTotals(customer);
    totals.set(customer, recount(counted, before, order));
    return true;
  });
  return {
    orders,
    firstSeen: orders.filter(({ order_id }) => !known.orders.has(order_id)),
    totals: [...totals.values()],
  };
}

function replaces(order: Order, before: Order, isReplayed: boolean): boolean {
  if (before.version !== order.version) return before.version < order.version;
  return isReplayed && JSON.stringify(before) !== JSON.stringify(order);
}

/** The totals of a customer without orders. */
export function emptyTotals(customerId: string): StoredTotals {
  return { customer_id: customerId, orders: 0, by_status: {}, spent: {} };
}

/** The totals of a customer, counted from the orders. */
export function totalsOf(customerId: string, orders: Iterable<CountableOrder>): StoredTotals {
  const totals = emptyTotals(customerId);
  for (const order of orders) {
    count(totals, order, 1);
    totals.orders += 1;
  }
  return totals;
}

/** The part of an order that counts. */
export function toCountable({ status, currency, total, refunded = 0 }: Order): CountableOrder {
  return { status, currency, total, refunded };
}

/** The maximum of orders of a customer that may change during a recount. Beyond it, the recount starts again. */
const MOST_CHANGED = 5_000;

function recount(totals: StoredTotals, before: Order | undefined, after: Order): StoredTotals {
  const { recount: running, ...rest } = totals;
  const counted: StoredTotals = {
    ...rest,
    orders: totals.orders + (before ? 0 : 1),
    by_status: { ...totals.by_status },
    spent: { ...totals.spent },
  };
  if (before) count(counted, before, -1);
  count(counted, after, 1);
  if (!running) return counted;
  const changed = { ...running.changed, [after.order_id]: toCountable(after) };
  return Object.keys(changed).length > MOST_CHANGED
    ? counted
    : { ...counted, recount: { ...running, changed } };
}

function count({ by_status, spent }: CustomerTotals, order: CountableOrder, sign: 1 | -1): void {
  add(by_status, order.status, sign);
  if (PAID_STATUSES.has(order.status))
    add(spent, order.currency, sign * (order.total - (order.refunded ?? 0)));
}

function add(sums: Partial<Record<string, number>>, name: string, amount: number): void {
  const sum = (sums[name] ?? 0) + amount;
  if (sum === 0) delete sums[name];
  else sums[name] = sum;
}
