import type { Order } from '../orders/contract.ts';
import { groupCommit } from '../shared/group-commit.ts';
import { pagedIndex } from '../shared/paged-index.ts';
import { retryOnConflict, type StateStore, type Stored, type Write } from '../shared/state.ts';
import { inSpan } from '../shared/tracing.ts';
import type { CustomerTotals } from './contract.ts';
import { newestOf, noTotals, project } from './read-model.ts';

export interface OrderPage {
  items: Order[];
  nextCursor: string | null;
}

export interface ReadModelStore {
  /** Takes a version of an order over, unless a newer one is known. Resolves when it is written. */
  record: (order: Order) => Promise<void>;
  /** Orders, newest first, of one customer or of all. With `status` a page may have fewer than `limit`. */
  list: (query: {
    customerId: string | undefined;
    status: Order['status'] | undefined;
    cursor: string | undefined;
    limit: number;
  }) => Promise<OrderPage>;
  totals: (customerId: string) => Promise<CustomerTotals>;
}

const orderKey = (orderId: string) => `order:${orderId}`;
const totalsKey = (customerId: string) => `totals:${customerId}`;

/** How far one request looks for orders of a status. */
const SCAN = { pages: 10, pageSize: 100 };

export function readModelStore(state: StateStore): ReadModelStore {
  const ordersOf = (customerId: string) => pagedIndex(state, `customer:${customerId}`);
  const allOrders = pagedIndex(state, 'all');

  async function commit(orders: Order[]): Promise<void[]> {
    const incoming = newestOf(orders);
    await inSpan('update read model', { 'orders.count': incoming.length }, () =>
      retryOnConflict(() => update(incoming)),
    );
    return orders.map(() => undefined);
  }

  async function update(incoming: Order[]): Promise<void> {
    const customers = new Set(incoming.map(({ customer_id }) => customer_id));
    // One read for both kinds of document: this is done for every event.
    const stored = await state.getMany<Order | CustomerTotals>([
      ...incoming.map(({ order_id }) => orderKey(order_id)),
      ...[...customers].map(totalsKey),
    ]);
    const { orders, firstSeen, totals } = project(known(stored.values()), incoming);
    if (orders.length === 0) return;
    const put = (key: string, value: unknown): Write => {
      return { op: 'put', key, value, etag: stored.get(key)?.etag };
    };
    await state.write(
      ...orders.map((order) => put(orderKey(order.order_id), order)),
      ...totals.map((total) => put(totalsKey(total.customer_id), total)),
      ...(await listed(firstSeen)),
    );
  }

  /** The writes that put new orders into the lists. */
  async function listed(orders: Order[]): Promise<Write[]> {
    if (orders.length === 0) return [];
    const byCustomer = new Map<string, string[]>();
    for (const { customer_id, order_id } of orders)
      byCustomer.set(customer_id, [...(byCustomer.get(customer_id) ?? []), order_id]);
    const writes = await Promise.all([
      allOrders.append(orders.map(({ order_id }) => order_id)),
      ...[...byCustomer].map(([customerId, ids]) => ordersOf(customerId).append(ids)),
    ]);
    return writes.flat();
  }

  async function load(ids: string[]): Promise<Order[]> {
    const found = await state.getMany<Order>(ids.map(orderKey));
    return ids.flatMap((id) => found.get(orderKey(id))?.value ?? []);
  }

  return {
    record: groupCommit(commit),

    async list({ customerId, status, cursor, limit }) {
      const index = customerId === undefined ? allOrders : ordersOf(customerId);
      if (!status) {
        const { ids, nextCursor } = await index.page(cursor, limit);
        return { items: await load(ids), nextCursor };
      }
      const items: Order[] = [];
      // Where the list ends now: new orders must not move what the cursors below count from.
      let position = cursor ?? (await index.page(undefined, 0)).nextCursor;
      for (let page = 0; page < SCAN.pages && position !== null; page++) {
        const { ids, nextCursor } = await index.page(position, SCAN.pageSize);
        const matching = (await load(ids)).filter((order) => order.status === status);
        const last = matching[limit - items.length - 1];
        if (last) {
          items.push(...matching.slice(0, limit - items.length));
          const looked = ids.indexOf(last.order_id) + 1;
          return { items, nextCursor: (await index.page(position, looked)).nextCursor };
        }
        items.push(...matching);
        position = nextCursor;
      }
      return { items, nextCursor: position };
    },

    async totals(customerId) {
      const stored = await state.get<CustomerTotals>(totalsKey(customerId));
      return stored?.value ?? noTotals(customerId);
    },
  };
}

function known(stored: Iterable<Stored<Order | CustomerTotals>>) {
  const orders = new Map<string, Order>();
  const totals = new Map<string, CustomerTotals>();
  for (const { value } of stored)
    if ('order_id' in value) orders.set(value.order_id, value);
    else totals.set(value.customer_id, value);
  return { orders, totals };
}
