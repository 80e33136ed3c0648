import type { Order } from '../../orders/contract.ts';
import { groupCommit } from '../../shared/group-commit.ts';
import { pagedIndex } from '../../shared/paged-index.ts';
import { retryOnConflict, type StateStore, type Stored, type Write } from '../../shared/state.ts';
import { inSpan } from '../../shared/tracing.ts';
import type { CustomerTotals } from '../contract.ts';
import { openOrderStore } from './open-order-store.ts';
import { isOpen, openKeyOf } from '../domain/open-orders.ts';
import { newestOf, noTotals, project, type KeptTotals, type Known } from '../domain/read-model.ts';

export interface OrderPage {
  items: Order[];
  nextCursor: string | null;
}

export interface ReadModelStore {
  /** Takes a version of an order over, unless a newer one is known. Resolves when it is written. */
  record: (order: Order) => Promise<void>;
  /**
   * Takes a version over that comes from the order's stream: what is known of that version is put right, as is whether
   * the order is open. Resolves when it is written.
   */
  replay: (order: Order) => Promise<void>;
  /** Orders, newest first, of one customer or of all. With `status` a page may have fewer than `limit`. */
  list: (query: {
    customerId: string | undefined;
    status: Order['status'] | undefined;
    cursor: string | undefined;
    limit: number;
  }) => Promise<OrderPage>;
  /** Ids off the list of all orders, newest first, and the orders that are known by them. */
  all: (
    cursor: string | undefined,
    limit: number,
  ) => Promise<{ ids: string[]; orders: Order[]; nextCursor: string | null }>;
  /** Those that are not final, in no order. As many reads as there are such orders. */
  open: () => Promise<Order[]>;
  totals: (customerId: string) => Promise<CustomerTotals>;
}

export const orderKey = (orderId: string) => `order:${orderId}`;
export const totalsKey = (customerId: string) => `totals:${customerId}`;
/** The name of the list of a customer's orders. */
export const listOf = (customerId: string) => `customer:${customerId}`;
export const LIST_OF_ALL = 'all';

/** How far one request looks for orders of a status. */
const SCAN = { pages: 10, pageSize: 100 };

/** Open orders that are read in one call. */
const OPEN_AT_ONCE = 500;

/**
 * So long an event waits for others to be written with: lists may be that late, and a call costs more than a document.
 * Milliseconds.
 */
const GATHER = 50;

interface Incoming {
  order: Order;
  isReplayed: boolean;
}

export function readModelStore(state: StateStore): ReadModelStore {
  const ordersOf = (customerId: string) => pagedIndex(state, listOf(customerId));
  const allOrders = pagedIndex(state, LIST_OF_ALL);
  const openOrders = openOrderStore(state);

  async function commit(batch: Incoming[]): Promise<void[]> {
    const replayed = batch.filter(({ isReplayed }) => isReplayed).map(({ order }) => order);
    const recorded = batch.filter(({ isReplayed }) => !isReplayed).map(({ order }) => order);
    const incoming = newestOf([...replayed, ...recorded]);
    const replayedIds = new Set(replayed.map(({ order_id }) => order_id));
    await inSpan('update read model', { 'orders.count': incoming.length }, () =>
      retryOnConflict(() => update(incoming, replayedIds)),
    );
    return batch.map(() => undefined);
  }

  async function update(incoming: Order[], replayed: ReadonlySet<string>): Promise<void> {
    const customers = new Set(incoming.map(({ customer_id }) => customer_id));
    const openKeys = new Set(
      incoming
        .filter((order) => mayTurn(order) || replayed.has(order.order_id))
        .map(({ order_id }) => openKeyOf(order_id)),
    );
    // One read for all kinds of document: this is done for every event.
    const stored = await state.getMany<unknown>([
      ...incoming.map(({ order_id }) => orderKey(order_id)),
      ...[...customers].map(totalsKey),
      ...openKeys,
    ]);
    const known = knownOf(stored, incoming);
    const { orders, firstSeen, totals } = project(known, incoming, replayed);
    const turned = turnedOf(incoming, { known, written: new Set(orders), replayed });
    const { writes, opened } = await openOrders.settle(turned, openKeys, stored);
    if (orders.length + writes.length === 0) return;
    const put = (key: string, value: unknown): Write => {
      return { op: 'put', key, value, etag: stored.get(key)?.etag };
    };
    await state.write(
      ...[...new Set([...orders, ...opened])].map((order) => put(orderKey(order.order_id), order)),
      ...totals.map((total) => put(totalsKey(total.customer_id), total)),
      ...writes,
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

  const take = groupCommit(commit, { gatherMs: () => GATHER });

  return {
    record: (order) => take({ order, isReplayed: false }),
    // In the same row, so that the two are not in each other's way.
    replay: (order) => take({ order, isReplayed: true }),

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

    async all(cursor, limit) {
      const { ids, nextCursor } = await allOrders.page(cursor, limit);
      return { ids, orders: (await load(ids)).filter(isVersioned), nextCursor };
    },

    async open() {
      const ids = await openOrders.ids();
      const orders: Order[] = [];
      for (let start = 0; start < ids.length; start += OPEN_AT_ONCE)
        orders.push(...(await load(ids.slice(start, start + OPEN_AT_ONCE))));
      return orders.filter(isOpen);
    },

    async totals(customerId) {
      const stored = await state.get<KeptTotals>(totalsKey(customerId));
      const { customer_id, orders, by_status, spent } = stored?.value ?? noTotals(customerId);
      return { customer_id, orders, by_status, spent };
    },
  };
}

/** Whether the order becomes open or ceases to be, as far as that can be told without knowing what it was. */
const mayTurn = (order: Order) => order.version === 1 || !isOpen(order);

/** The orders, as they are now, of which it is to be put right whether they are open. */
function turnedOf(
  incoming: readonly Order[],
  { known, written, replayed }: { known: Known; written: ReadonlySet<Order>; replayed: ReadonlySet<string> },
): Order[] {
  return incoming.flatMap((order) => {
    const before = known.orders.get(order.order_id);
    const now = written.has(order) || !before ? order : before;
    const turns = isOpen(now) !== (before !== undefined && isOpen(before));
    return turns || !isOpen(now) || replayed.has(order.order_id) ? [now] : [];
  });
}

function knownOf(stored: ReadonlyMap<string, Stored<unknown>>, incoming: readonly Order[]): Known {
  const orders = new Map<string, Order>();
  const totals = new Map<string, KeptTotals>();
  for (const order of incoming) {
    const known = stored.get(orderKey(order.order_id))?.value;
    // What is no order is listed all the same, and gives way to every version.
    if (known !== undefined)
      orders.set(order.order_id, isVersioned(known) ? known : { ...order, version: 0 });
    const counted = stored.get(totalsKey(order.customer_id))?.value;
    if (typeof counted === 'object') totals.set(order.customer_id, counted as KeptTotals);
  }
  return { orders, totals };
}

function isVersioned(document: unknown): document is Order {
  return Number.isInteger((document as Partial<Order> | undefined)?.version);
}
