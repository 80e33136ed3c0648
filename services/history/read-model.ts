import type { Order, OrderStatus } from '../orders/contract.ts';
import type { CustomerTotals } from './contract.ts';

/** What is known already: orders by their id, totals by the customer's. */
export interface Known {
  orders: ReadonlyMap<string, Order>;
  totals: ReadonlyMap<string, CustomerTotals>;
}

/** What the incoming versions change. */
export interface Changes {
  /** Orders that are new or newer. */
  orders: Order[];
  /** Those of them that were not known at all: they go into the lists. */
  firstSeen: Order[];
  totals: CustomerTotals[];
}

/** Of several versions of an order only the newest counts: each has the whole order in it. */
export function newestOf(orders: readonly Order[]): Order[] {
  const newest = new Map<string, Order>();
  for (const order of orders) {
    const other = newest.get(order.order_id);
    if (!other || other.version < order.version) newest.set(order.order_id, order);
  }
  return [...newest.values()];
}

/** Applies versions of different orders; one that is known, or older than what is known, changes nothing. */
export function project(known: Known, incoming: readonly Order[]): Changes {
  const totals = new Map<string, CustomerTotals>();
  const orders = incoming.filter((order) => {
    const before = known.orders.get(order.order_id);
    if (before && before.version >= order.version) return false;
    const customer = order.customer_id;
    const counted = totals.get(customer) ?? known.totals.get(customer) ?? noTotals(customer);
    totals.set(customer, recount(counted, before, order));
    return true;
  });
  return {
    orders,
    firstSeen: orders.filter(({ order_id }) => !known.orders.has(order_id)),
    totals: [...totals.values()],
  };
}

/** The totals of a customer without orders. */
export function noTotals(customerId: string): CustomerTotals {
  return { customer_id: customerId, orders: 0, by_status: {}, spent: {} };
}

const PAID: ReadonlySet<OrderStatus> = new Set(['PAID', 'SHIPPED', 'DELIVERED']);

function recount(totals: CustomerTotals, before: Order | undefined, after: Order): CustomerTotals {
  const by_status = { ...totals.by_status };
  const spent = { ...totals.spent };
  const count = (order: Order, sign: 1 | -1) => {
    add(by_status, order.status, sign);
    if (PAID.has(order.status)) add(spent, order.currency, sign * order.total);
  };
  if (before) count(before, -1);
  count(after, 1);
  return { customer_id: totals.customer_id, orders: totals.orders + (before ? 0 : 1), by_status, spent };
}

function add(sums: Partial<Record<string, number>>, name: string, amount: number): void {
  const sum = (sums[name] ?? 0) + amount;
  if (sum === 0) delete sums[name];
  else sums[name] = sum;
}
