import { v7 as uuidv7 } from 'uuid';
import { append, replay, type NewEvent, type OrderEvent } from '../../services/orders/domain/order.ts';
import { createOrderStore } from '../../services/orders/store/order-store.ts';
import { createReadModelStore } from '../../services/history/store/read-model-store.ts';
import { createPaymentStore } from '../../services/payments/store/payment-store.ts';
import { captured, requested } from '../../services/payments/domain/payment.ts';
import { createShipmentStore } from '../../services/fulfilment/store/shipment-store.ts';
import { trackingNumber } from '../../services/fulfilment/domain/shipment.ts';
import { createSidecar, type Sidecar } from '../../services/shared/dapr/sidecar.ts';
import type { StateStore, StateEntry, StateOperation } from '../../services/shared/dapr/state-store.ts';
import type { RunningSystem } from '../../deploy/local/system/system.ts';

/** The number of documents per transaction. */
const WRITES_PER_TRANSACTION = 500;
/** The batch size of `createBatcher`. */
const ORDERS_PER_BATCH = 64;

/**
 * Saves delivered orders as their services would have. The stores of the services run in memory first. Then the final
 * documents are written, hundreds per transaction. The system must be idle.
 *
 * @returns the ids of the orders
 */
export async function storeOrders(
  system: RunningSystem,
  count: number,
  customers: number,
): Promise<string[]> {
  const customerIds = Array.from({ length: customers }, () => uuidv7());
  const streams = Array.from({ length: count }, (_, number) => ({
    order_id: uuidv7(),
    events: deliveredStream(customerIds[number % customers] ?? '', number),
  }));
  const orders = streams.map(({ order_id, events }) => replay(order_id, events));

  await Promise.all([
    fillStore(system, 'orders', async (state) => {
      const store = createOrderStore(state);
      for (const stream of streams) await store.save({ ...stream, request_hash: 'stored' }, undefined);
    }),
    fillStore(system, 'history', async (state) => {
      const { record } = createReadModelStore(state);
      // One batch at a time: on a slow machine, items that wait for a second batch are rejected.
      for (const chunk of chunks(orders, ORDERS_PER_BATCH)) await Promise.all(chunk.map(record));
    }),
    fillStore(system, 'payments', async (state) => {
      const store = createPaymentStore(state);
      for (const order of orders) {
        const requestedPayment = requested(order, uuidv7(), order.created_at);
        await store.save(captured(requestedPayment, order.updated_at), undefined);
      }
    }),
    fillStore(system, 'fulfilment', async (state) => {
      const store = createShipmentStore(state);
      for (const { order_id, updated_at } of orders)
        await store.save(
          { order_id, status: 'DELIVERED', tracking_number: trackingNumber(order_id), updated_at },
          undefined,
        );
    }),
  ]);
  return orders.map(({ order_id }) => order_id);
}

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
  const ids = Array.from({ length: count }, () => uuidv7());
  const payment = { method: 'card' as const, card_token: 'tok_visa' };
  await fillStore(system, 'orders', async (state) => {
    const store = createOrderStore(state);
    for (const [number, order_id] of ids.entries()) {
      const events = append([], [createdEvent(customerId, number)], new Date().toISOString());
      await store.save({ order_id, events, payment, request_hash: 'stored' }, undefined);
    }
  });
  return ids;
}

function createdEvent(customer_id: string, number: number): NewEvent {
  const product = { product_id: `bench-${number % 1000}`, name: 'Product', quantity: 1, unit_price: 1290 };
  return { type: 'order.created', data: { customer_id, items: [product], total: 1290, currency: 'EUR' } };
}

function deliveredStream(customer_id: string, number: number): OrderEvent[] {
  const newEvents: NewEvent[] = [
    createdEvent(customer_id, number),
    { type: 'payment.requested', data: {} },
    { type: 'order.paid', data: { payment_id: uuidv7() } },
    { type: 'order.shipped', data: { tracking_number: 'SC000000000000000' } },
    { type: 'order.delivered', data: {} },
  ];
  return append([], newEvents, '2026-01-01T00:00:00.000Z');
}

/** Lets `fill` change the documents of a service in memory, then writes the changes. */
async function fillStore(
  system: RunningSystem,
  app: string,
  fill: (state: StateStore) => Promise<void>,
): Promise<void> {
  const { daprHttpPort: port, daprApiToken } = system.app(app);
  const sidecar = createSidecar({ port, apiToken: daprApiToken() });
  const { state, changes } = createInMemoryStore(sidecar);
  try {
    await fill(state);
    for (const writes of chunks(changes(), WRITES_PER_TRANSACTION)) await sidecar.state.write(...writes);
  } finally {
    await sidecar.close();
  }
}

/** An in-memory copy of the documents of a service, which records changes. */
function createInMemoryStore(sidecar: Sidecar): { state: StateStore; changes: () => StateOperation[] } {
  const original = new Map<string, StateEntry<unknown> | undefined>();
  const changed = new Map<string, unknown>();

  /** New orders are never read, because only lists and totals can exist already. */
  async function load(key: string): Promise<StateEntry<unknown> | undefined> {
    if (changed.has(key)) return { value: changed.get(key), etag: 'changed' };
    if (!original.has(key) && !key.startsWith('order:')) original.set(key, await sidecar.state.get(key));
    return original.get(key);
  }

  const state: StateStore = {
    get: async <T>(key: string) => (await load(key)) as StateEntry<T> | undefined,
    async getMany<T>(keys: readonly string[]) {
      const found = new Map<string, StateEntry<T>>();
      for (const key of keys) {
        const stored = (await load(key)) as StateEntry<T> | undefined;
        if (stored) found.set(key, stored);
      }
      return found;
    },
    async write(...writes) {
      for (const write of writes) if (write.op === 'put') changed.set(write.key, write.value);
    },
  };
  return {
    state,
    changes: () =>
      [...changed].map(([key, value]) => ({ op: 'put', key, value, etag: original.get(key)?.etag })),
  };
}

function chunks<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, number) =>
    all.slice(number * size, (number + 1) * size),
  );
}
