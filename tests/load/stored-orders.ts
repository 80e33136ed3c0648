import { setImmediate } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import { append, replay, type NewEvent, type OrderEvent } from '../../services/orders/domain/order.ts';
import { createOrderStore, type OrderDocument } from '../../services/orders/store/order-store.ts';
import type { Order } from '../../services/orders/contract.ts';
import { project } from '../../services/history/domain/read-model.ts';
import { LIST_OF_ALL, listOf, orderKey, totalsKey } from '../../services/history/store/read-model-store.ts';
import { createPaymentStore } from '../../services/payments/store/payment-store.ts';
import { captured, requested } from '../../services/payments/domain/payment.ts';
import { createShipmentStore } from '../../services/fulfilment/store/shipment-store.ts';
import { trackingNumber } from '../../services/fulfilment/domain/shipment.ts';
import { createPagedIndex } from '../../services/shared/dapr/paged-index.ts';
import { createSidecar } from '../../services/shared/dapr/sidecar.ts';
import type { StateStore } from '../../services/shared/dapr/state-store.ts';
import type { RunningSystem } from '../../deploy/local/system/system.ts';
import { openDatabase } from './state-database.ts';

/** The orders of one transaction. A sidecar that writes waits for its end, for 2 s at most (`busyTimeout`). */
const ORDERS_PER_TRANSACTION = 5_000;
const ORDERS_PER_CUSTOMER = 100;

/**
 * Saves delivered orders as their services would have, directly into the databases. The system must be idle.
 *
 * @param dataDir the folder of the system
 * @returns the ids of the orders
 */
export async function storeOrders(dataDir: string, count: number, signal: AbortSignal): Promise<string[]> {
  const ids: string[] = [];
  const customers = Array.from({ length: Math.ceil(count / ORDERS_PER_CUSTOMER) }, () => uuidv7());
  const writers = Object.entries(WRITERS).map(([app, save]) => {
    const database = openDatabase(dataDir, app);
    return { ...database, save };
  });
  try {
    while (ids.length < count) {
      signal.throwIfAborted();
      const size = Math.min(ORDERS_PER_TRANSACTION, count - ids.length);
      const documents = Array.from({ length: size }, (_, index) => {
        const number = ids.length + index;
        return deliveredOrder(customers[Math.floor(number / ORDERS_PER_CUSTOMER)] ?? '', number);
      });
      const orders = documents.map(({ order_id, events }) => replay(order_id, events));
      for (const { state, save, transaction } of writers)
        await transaction(() => save(state, documents, orders));
      ids.push(...orders.map(({ order_id }) => order_id));
      // SQLite blocks this process, which must notice the connections that the system closes meanwhile.
      await setImmediate();
    }
  } finally {
    for (const { close } of writers) close();
  }
  return ids;
}

type Save = (
  state: StateStore,
  documents: readonly OrderDocument[],
  orders: readonly Order[],
) => Promise<void>;

/** What each service stores of these orders. */
const WRITERS: Record<string, Save> = {
  async orders(state, documents) {
    const store = createOrderStore(state);
    for (const document of documents) await store.save(document, undefined);
  },
  async payments(state, _, orders) {
    const store = createPaymentStore(state);
    for (const order of orders)
      await store.save(captured(requested(order, uuidv7(), order.created_at), order.updated_at), undefined);
  },
  async fulfilment(state, _, orders) {
    const store = createShipmentStore(state);
    for (const { order_id, updated_at } of orders) {
      const tracking_number = trackingNumber(order_id);
      await store.save({ order_id, status: 'DELIVERED', tracking_number, updated_at }, undefined);
    }
  },
  async history(state, _, orders) {
    const { totals } = project({ orders: new Map(), totals: new Map() }, orders);
    for (const order of orders) await state.write({ op: 'put', key: orderKey(order.order_id), value: order });
    for (const total of totals)
      await state.write({ op: 'put', key: totalsKey(total.customer_id), value: total });
    const addToList = async (name: string, listed: readonly Order[]) => {
      const writes = await createPagedIndex(state, name).append(listed.map(({ order_id }) => order_id));
      await state.write(...writes);
    };
    await addToList(LIST_OF_ALL, orders);
    for (const { customer_id: id } of totals)
      await addToList(
        listOf(id),
        orders.filter(({ customer_id }) => customer_id === id),
      );
  },
};

/**
 * Saves accepted orders without a watchdog, which never change.
 *
 * @returns their ids
 */
export async function storeWaitingOrders(
  system: RunningSystem,
  count: number,
  customerId: string,
): Promise<string[]> {
  const { daprHttpPort: port, daprApiToken } = system.app('orders');
  const sidecar = createSidecar({ port, apiToken: daprApiToken() });
  const store = createOrderStore(sidecar.state);
  const payment = { method: 'card', card_token: 'tok_visa' } as const;
  const ids: string[] = [];
  try {
    while (ids.length < count) {
      const order_id = uuidv7();
      const events = append([], [createdEvent(customerId, ids.length)], new Date().toISOString());
      await store.save({ order_id, events, payment, request_hash: 'stored' }, undefined);
      ids.push(order_id);
    }
  } finally {
    await sidecar.close();
  }
  return ids;
}

function deliveredOrder(customerId: string, number: number): OrderDocument {
  const newEvents: NewEvent[] = [
    createdEvent(customerId, number),
    { type: 'payment.requested', data: {} },
    { type: 'order.paid', data: { payment_id: uuidv7() } },
    { type: 'order.shipped', data: { tracking_number: 'SC000000000000000' } },
    { type: 'order.delivered', data: {} },
  ];
  const events: OrderEvent[] = append([], newEvents, '2026-01-01T00:00:00.000Z');
  return { order_id: uuidv7(), events, request_hash: 'stored' };
}

function createdEvent(customer_id: string, number: number): NewEvent {
  const product = { product_id: `bench-${number % 1000}`, name: 'Product', quantity: 1, unit_price: 1290 };
  return { type: 'order.created', data: { customer_id, items: [product], total: 1290, currency: 'EUR' } };
}
