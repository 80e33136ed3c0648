import type { Order } from '../../orders/contract.ts';
import { createBatcher } from '../../shared/util/batcher.ts';
import { createPagedIndex } from '../../shared/dapr/paged-index.ts';
import {
  retryOnConflict,
  type StateStore,
  type StateEntry,
  type StateOperation,
} from '../../shared/dapr/state-store.ts';
import { inSpan } from '../../shared/telemetry/spans.ts';
import type { CustomerTotals } from '../contract.ts';
import { createOpenOrderStore } from './open-order-store.ts';
import { isOpen, openKeyOf } from '../domain/open-orders.ts';
import { newestOf, emptyTotals, project, type StoredTotals, type Known } from '../domain/read-model.ts';

export interface OrderPage {
  items: Order[];
  nextCursor: string | null;
}

export interface ReadModelStore {
  /** Saves a version of an order, unless a newer one is known. */
  record: (order: Order) => Promise<void>;
  /** Saves a version from the order's stream. It also corrects that version of the read model, and whether the order is open. */
  replay: (order: Order) => Promise<void>;
  /** A page of orders, newest first, of one customer or all. With `status`, a page may have fewer than `limit`. */
  list: (query: {
    customerId: string | undefined;
    status: Order['status'] | undefined;
    cursor: string | undefined;
    limit: number;
  }) => Promise<OrderPage>;
  /** A page of ids of all orders, newest first, with the known orders. */
  all: (
    cursor: string | undefined,
    limit: number,
  ) => Promise<{ ids: string[]; orders: Order[]; nextCursor: string | null }>;
  /** All open orders in any order. It needs one read per open order. */
  open: () => Promise<Order[]>;
  totals: (customerId: string) => Promise<CustomerTotals>;
}

export const orderKey = (orderId: string) => `order:${orderId}`;
export const totalsKey = (customerId: string) => `totals:${customerId}`;
/** The name of the list of a customer's orders. */
export const listOf = (customerId: string) => `customer:${customerId}`;
export const LIST_OF_ALL = 'all';

/** The maximum of orders that one request scans for a status. */
const SCAN = { pages: 10, pageSize: 100 };

/** The open orders per call. */
const OPEN_ORDERS_PER_READ = 500;

/**
 * How long events wait for a common batch, because a call costs more than a document. Lists are late by at
 * most this.
 */
const BATCH_DELAY_MS = 50;

interface Incoming {
  order: Order;
  isReplayed: boolean;
}

export function createReadModelStore(state: StateStore): ReadModelStore {
  const ordersOf = (customerId: string) => createPagedIndex(state, listOf(customerId));
  const allOrders = createPagedIndex(state, LIST_OF_ALL);
  const openOrders = createOpenOrderStore(state);

  async function commit(batch: Incoming[]): Promise<void[]> {
    const replayed = batch.filter(({ isReplayed }) => isReplayed).map(({ order }) => order);
    const recorded = batch.filter(({ isReplayed }) => !isReplayed).map(({ order }) => order);
    const incoming = newestOf([...replayed, ...recorded]);
    const replayedIds = new Set(replayed.map(({ order_id }) => order_id));
    await inSpan('update read model', { 'batch.orders': incoming.length }, () =>
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
    // One read for all documents, because this code runs for every event.
    const stored = await state.getMany<unknown>([
      ...incoming.map(({ order_id }) => orderKey(order_id)),
      ...[...customers].map(totalsKey),
      ...openKeys,
    ]);
    const known = knownOf(stored, incoming);
    const { orders, firstSeen, totals } = project(known, incoming, replayed);
    const opennessChanged = turnedOf(incoming, { known, written: new Set(orders), replayed });
    const { writes, opened } = await openOrders.settle(opennessChanged, openKeys, stored);
    if (orders.length + writes.length === 0) return;
    const put = (key: string, value: unknown): StateOperation => {
      return { op: 'put', key, value, etag: stored.get(key)?.etag };
    };
    await state.write(
      ...[...new Set([...orders, ...opened])].map((order) => put(orderKey(order.order_id), order)),
      ...totals.map((total) => put(totalsKey(total.customer_id), total)),
      ...writes,
      ...(await indexWrites(firstSeen)),
    );
  }

  /** The writes that add new orders to the lists. */
  async function indexWrites(orders: Order[]): Promise<StateOperation[]> {
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

  const enqueue = createBatcher(commit, { lingerMs: () => BATCH_DELAY_MS });

  return {
    record: (order) => enqueue({ order, isReplayed: false }),
    // In the same queue, so that the two do not conflict.
    replay: (order) => enqueue({ order, isReplayed: true }),

    async list({ customerId, status, cursor, limit }) {
      const index = customerId === undefined ? allOrders : ordersOf(customerId);
      if (!status) {
        const { ids, nextCursor } = await index.page(cursor, limit);
        return { items: await load(ids), nextCursor };
      }
      const items: Order[] = [];
      // The current end of the list, so that new orders do not move the cursors below.
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
      for (let start = 0; start < ids.length; start += OPEN_ORDERS_PER_READ)
        orders.push(...(await load(ids.slice(start, start + OPEN_ORDERS_PER_READ))));
      return orders.filter(isOpen);
    },

    async totals(customerId) {
      const stored = await state.get<StoredTotals>(totalsKey(customerId));
      const { customer_id, orders, by_status, spent } = stored?.value ?? emptyTotals(customerId);
      return { customer_id, orders, by_status, spent };
    },
  };
}

/** Whether the order may open or close with this version, without knowledge of the previous one. */
const mayTurn = (order: Order) => order.version === 1 || !isOpen(order);

/** The current orders whose membership in the sets of open orders must be corrected. */
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

function knownOf(stored: ReadonlyMap<string, StateEntry<unknown>>, incoming: readonly Order[]): Known {
  const orders = new Map<string, Order>();
  const totals = new Map<string, StoredTotals>();
  for (const order of incoming) {
    const known = stored.get(orderKey(order.order_id))?.value;
    // A document that is not an order is already listed, and every version replaces it.
    if (known !== undefined)
      orders.set(order.order_id, isVersioned(known) ? known : { ...order, version: 0 });
    const counted = stored.get(totalsKey(order.customer_id))?.value;
    if (typeof counted === 'object') totals.set(order.customer_id, counted as StoredTotals);
  }
  return { orders, totals };
}

function isVersioned(document: unknown): document is Order {
  return Number.isInteger((document as Partial<Order> | undefined)?.version);
}
