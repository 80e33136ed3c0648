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

/** Documents in one transaction. */
const AT_ONCE = 500;
/** A batch of `createBatcher`. */
const RECORDED_AT_ONCE = 64;

/**
 * Stores orders that were delivered long ago as their services would have left them. By the services' own stores, but in
 * memory first: what each document ends as is written once, hundreds in a transaction. The system must be at rest.
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
    events: delivered(customerIds[number % customers] ?? '', number),
  }));
  const orders = streams.map(({ order_id, events }) => replay(order_id, events));

  await Promise.all([
    writeBack(system, 'orders', async (state) => {
      const store = createOrderStore(state);
      for (const stream of streams) await store.save({ ...stream, request_hash: 'stored' }, undefined);
    }),
    writeBack(system, 'history', async (state) => {
      const { record } = createReadModelStore(state);
      // As many as are written together: whoever waits for a second batch is refused on a slow machine.
      for (const some of chunks(orders, RECORDED_AT_ONCE)) await Promise.all(some.map(record));
    }),
    writeBack(system, 'payments', async (state) => {
      const store = createPaymentStore(state);
      for (const order of orders) {
        const asked = requested(order, uuidv7(), order.created_at);
        await store.save(captured(asked, order.updated_at), undefined);
      }
    }),
    writeBack(system, 'fulfilment', async (state) => {
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
 * Stores orders that have just been accepted and that nothing will ever happen to: no job looks after them.
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
  await writeBack(system, 'orders', async (state) => {
    const store = createOrderStore(state);
    for (const [number, order_id] of ids.entries()) {
      const events = append([], [created(customerId, number)], new Date().toISOString());
      await store.save({ order_id, events, payment, request_hash: 'stored' }, undefined);
    }
  });
  return ids;
}

function created(customer_id: string, number: number): NewEvent {
  const product = { product_id: `bench-${number % 1000}`, name: 'Product', quantity: 1, unit_price: 1290 };
  return { type: 'order.created', data: { customer_id, items: [product], total: 1290, currency: 'EUR' } };
}

function delivered(customer_id: string, number: number): OrderEvent[] {
  const story: NewEvent[] = [
    created(customer_id, number),
    { type: 'payment.requested', data: {} },
    { type: 'order.paid', data: { payment_id: uuidv7() } },
    { type: 'order.shipped', data: { tracking_number: 'SC000000000000000' } },
    { type: 'order.delivered', data: {} },
  ];
  return append([], story, '2026-01-01T00:00:00.000Z');
}

/** Lets `fill` work on a service's documents, then writes all that it changed. */
async function writeBack(
  system: RunningSystem,
  app: string,
  fill: (state: StateStore) => Promise<void>,
): Promise<void> {
  const { daprHttpPort: port, daprApiToken } = system.app(app);
  const sidecar = createSidecar({ port, apiToken: daprApiToken() });
  const { state, changes } = inMemory(sidecar);
  try {
    await fill(state);
    for (const writes of chunks(changes(), AT_ONCE)) await sidecar.state.write(...writes);
  } finally {
    await sidecar.close();
  }
}

/** A service's documents, read once, and written nowhere. */
function inMemory(sidecar: Sidecar): { state: StateStore; changes: () => StateOperation[] } {
  const original = new Map<string, StateEntry<unknown> | undefined>();
  const changed = new Map<string, unknown>();

  /** Only lists and totals can be there already; an id that is new cannot. */
  async function known(key: string): Promise<StateEntry<unknown> | undefined> {
    if (changed.has(key)) return { value: changed.get(key), etag: 'changed' };
    if (!original.has(key) && !key.startsWith('order:')) original.set(key, await sidecar.state.get(key));
    return original.get(key);
  }

  const state: StateStore = {
    get: async <T>(key: string) => (await known(key)) as StateEntry<T> | undefined,
    async getMany<T>(keys: readonly string[]) {
      const found = new Map<string, StateEntry<T>>();
      for (const key of keys) {
        const stored = (await known(key)) as StateEntry<T> | undefined;
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
