import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunningSystem } from '../../deploy/local/system/system.ts';
import { unwrap, createClient, type Client } from '../../services/gateway/client/client.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { register } from '../support/shop.ts';
import { firstSuccess, waitFor } from '../support/wait.ts';
import { CLIENTS, closedLoop, createBareClient, median, type Load, type Pace } from './closed-loop.ts';
import type { CostMeter, MachineLoad, OrderCost } from './cost.ts';

/** The result of a run of orders. */
export interface OrdersRun {
  /** The responses to `POST /api/orders`. */
  posts: Load;
  /** Orders per second, from the first request until fulfilment has the last order. */
  completedPerSecond: number;
  /** The load of the machine in that time. */
  machine: MachineLoad;
  /** From the first request until the last delivery. */
  cost: OrderCost;
}

/** The result of a run of returns. */
export interface ReturnsRun {
  count: number;
  /** Returns per second, from the first request until the last refund. */
  perSecond: number;
  /** From the first request until the last refund. */
  cost: OrderCost;
}

/** The customers of the benchmark, one per client. */
export interface BenchmarkShop {
  readOrders: (pace: Pace, orderIds: readonly string[]) => Promise<Load>;
  /** Places orders from all clients, and waits until they are delivered, so that no work is left. */
  placeOrders: (pace: Pace, product: (count: number) => string) => Promise<OrdersRun>;
  /** Returns the oldest orders, from all clients, and waits until they are refunded. No order is returned twice. */
  returnOrders: (pace: Pace) => Promise<ReturnsRun>;
  /** The median milliseconds from a request until the order is paid, one order at a time. */
  singleOrders: (times: number, signal: AbortSignal) => Promise<number>;
  /** The orders so far. */
  orderIds: string[];
  close: () => Promise<void>;
}

export const HOT_PRODUCT = 'bench-hot';
/** A thousand products in turn. */
export const spreadProduct = (count: number) => `bench-${count % 1000}`;

/** @param system a system with the environment of `environmentOf` */
export async function createBenchmarkShop(system: RunningSystem, meter: CostMeter): Promise<BenchmarkShop> {
  const gateway = createClient(system.urls.api, undefined, { connections: CLIENTS });
  const { email, password } = system.admin;
  const logIn = () => gateway.logIn({ email, password });
  // `users` creates this account after its start.
  const admin = await firstSuccess('the administrator logs in', logIn);
  const customers: Client[] = [];
  // A system that has just started answers some requests with 503.
  const signUp = async () => gateway.logIn(await register(gateway));
  while (customers.length < CLIENTS) customers.push(await firstSuccess('a customer signs up', signUp));
  const orderIds: string[] = [];
  const unreturned: { order_id: string; product_id: string }[] = [];

  async function placeOne(count: number, product_id: string): Promise<string> {
    const customer = customers[count % CLIENTS] ?? gateway;
    const response = await customer('POST /api/orders', {
      body: { items: [{ product_id, quantity: 1 }], payment: { method: 'card', card_token: 'tok_visa' } },
    });
    const { order_id } = unwrap(response);
    orderIds.push(order_id);
    unreturned.push({ order_id, product_id });
    return order_id;
  }

  const counterValue = (app: string, counter: string) => readCounter(system.app(app).appPort, counter);
  const handedOverCount = () => counterValue('fulfilment', 'shipment_transitions_total{status="PREPARING"}');
  const refundedCount = () => counterValue('returns', 'return_transitions_total{status="REFUNDED"}');
  const deliveredCount = () => counterValue('orders', 'order_transitions_total{event="order.delivered"}');
  const waitForCount = (
    description: string,
    counter: () => Promise<number>,
    value: number,
    signal: AbortSignal,
  ) =>
    waitFor(
      description,
      () => {
        signal.throwIfAborted();
        return counter();
      },
      { until: (count) => count >= value, timeoutMs: 180_000 },
    );

  return {
    orderIds,

    async readOrders(pace, ids) {
      // An administrator may read the orders of all customers. The client is that of the baselines.
      const session = await logIn();
      const authorization = `Bearer ${session.tokens()?.access_token}`;
      const reader = createBareClient(system.urls.api, { authorization });
      try {
        return await closedLoop(pace, async (count) => {
          // The prime 7919 reaches every order.
          await reader.get(`/api/orders/${ids[(count * 7919) % ids.length]}`);
        });
      } finally {
        await reader.close();
      }
    },

    async placeOrders(pace, product) {
      const before = [await handedOverCount(), await deliveredCount()] as const;
      const measuring = await meter.start();
      const started = performance.now();
      const posts = await closedLoop(pace, async (count) => void (await placeOne(count, product(count))));
      await waitForCount('fulfilment has all orders', handedOverCount, before[0] + posts.count, pace.signal);
      const seconds = (performance.now() - started) / 1000;
      const machine = measuring.load();
      await waitForCount('all orders are delivered', deliveredCount, before[1] + posts.count, pace.signal);
      const cost = await measuring.perOrder(posts.count);
      return { posts, completedPerSecond: posts.count / seconds, machine, cost };
    },

    async returnOrders(pace) {
      const before = await refundedCount();
      const measuring = await meter.start();
      const started = performance.now();
      const { count } = await closedLoop(pace, async () => {
        const order = unreturned.shift();
        if (!order) throw new Error('too few orders for these returns');
        const { order_id, product_id } = order;
        const body = { items: [{ product_id, quantity: 1 }], reason: 'it does not fit' };
        const { return_id } = unwrap(
          await admin('POST /api/orders/:id/returns', { params: { id: order_id }, body }),
        );
        const params = { id: return_id };
        unwrap(await admin('POST /api/returns/:id/approve', { params }));
        unwrap(await admin('POST /api/returns/:id/receive', { params, body: { condition: 'sellable' } }));
      });
      await waitForCount('all returns are refunded', refundedCount, before + count, pace.signal);
      const perSecond = count / ((performance.now() - started) / 1000);
      return { count, perSecond, cost: await measuring.perOrder(count) };
    },

    async singleOrders(times, signal) {
      const durationsMs: number[] = [];
      for (let count = 0; count < times; count++) {
        signal.throwIfAborted();
        const sent = Date.now();
        const id = await placeOne(count, spreadProduct(count));
        durationsMs.push((await paidAt(id)) - sent);
      }
      return median(durationsMs);
    },

    close: gateway.close,
  };

  /** The time of the `order.paid` event. */
  async function paidAt(orderId: string): Promise<number> {
    const paid = await waitFor(
      `order ${orderId} is paid`,
      async () => {
        const { items } = unwrap(await admin('GET /api/orders/:id/events', { params: { id: orderId } }));
        return items.find(({ type }) => type === 'order.paid');
      },
      { until: (event) => event !== undefined },
    );
    return Date.parse(paid?.time ?? '');
  }
}

/** Reads a counter from the service directly, which costs almost nothing. */
async function readCounter(port: number, counter: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(10_000) });
  const line = (await response.text()).split('\n').find((candidate) => candidate.startsWith(`${counter} `));
  return Number(line?.slice(counter.length + 1) ?? 0);
}

/** The products of the shop, with more stock than any run can sell. */
function createCatalogue() {
  return [HOT_PRODUCT, ...Array.from({ length: 1000 }, (_, number) => spreadProduct(number))].map(
    (product_id) => ({
      product_id,
      name: `Product ${product_id}`,
      unit_price: 1290,
      currency: 'EUR',
      on_hand: 1_000_000,
    }),
  );
}

/**
 * The environment of a system for the benchmark, by app id: the products, no rate limits, and no returns that a rule approves.
 *
 * @param dataDir gets the file of the products
 * @param others further variables
 */
export function environmentOf(
  dataDir: string,
  others: Readonly<Record<string, Record<string, string>>>,
): Record<string, Record<string, string>> {
  const seedFile = join(dataDir, 'catalogue.json');
  writeFileSync(seedFile, JSON.stringify(createCatalogue()));
  return {
    ...others,
    gateway: { ...others['gateway'], ...NO_RATE_LIMITS },
    inventory: { ...others['inventory'], SEED_FILE: seedFile },
    // Each return waits for its approval.
    returns: { ...others['returns'], RETURN_AUTO_APPROVAL_AMOUNT: '0' },
  };
}
