import type { RunningSystem } from '../../deploy/local/system/system.ts';
import { unwrap, createClient, type Client } from '../../services/gateway/client/client.ts';
import { register } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';
import { CLIENTS, closedLoop, median, type Load, type Pace } from './closed-loop.ts';
import { spent, usage } from './processes.ts';

/** What a run of orders came to. */
export interface OrdersRun {
  /** The answers to `POST /api/orders`. */
  posts: Load;
  /** Orders a second from the first request until the last order was paid and handed to fulfilment. */
  completedPerSecond: number;
  /** Processor time an order, by process, from the first request until the last shipment. Milliseconds. */
  cpuMsPerOrder: Record<string, number>;
}

/** A running system as the benchmark uses it: each of the clients is a customer of its own. */
export interface ShopFloor {
  readOrders: (pace: Pace, orderIds: readonly string[]) => Promise<Load>;
  /** Takes orders from all clients, then waits until they have shipped and arrived, so that nothing is left over. */
  takeOrders: (pace: Pace, product: (count: number) => string) => Promise<OrdersRun>;
  /** One order at a time, from the request until it is paid. Median, milliseconds. */
  singleOrders: (times: number, signal: AbortSignal) => Promise<number>;
  /** The orders that were taken so far. */
  orderIds: string[];
  close: () => Promise<void>;
}

export const HOT = 'bench-hot';
/** One of a thousand products, each in its turn. */
export const spread = (count: number) => `bench-${count % 1000}`;

/** @param system one that was started with `catalogue()` */
export async function openShop(system: RunningSystem): Promise<ShopFloor> {
  const gateway = createClient(system.urls.api, undefined, { connections: CLIENTS });
  const { email, password } = system.admin;
  const admin = await gateway.logIn({ email, password });
  const customers: Client[] = [];
  while (customers.length < CLIENTS) customers.push(await gateway.logIn(await register(gateway)));
  const orderIds: string[] = [];

  async function takeOne(count: number, product_id: string): Promise<string> {
    const customer = customers[count % CLIENTS] ?? gateway;
    const answer = await customer('POST /api/orders', {
      body: { items: [{ product_id, quantity: 1 }], payment: { method: 'card', card_token: 'tok_visa' } },
    });
    const { order_id } = unwrap(answer);
    orderIds.push(order_id);
    return order_id;
  }

  const counterOf = (app: string, counter: string) => readCounter(system.app(app).appPort, counter);
  const handedOver = () => counterOf('fulfilment', 'shipment_transitions_total{status="PREPARING"}');
  const delivered = () => counterOf('orders', 'order_transitions_total{event="order.delivered"}');
  const reaches = (what: string, counter: () => Promise<number>, value: number, signal: AbortSignal) =>
    waitFor(
      what,
      () => {
        signal.throwIfAborted();
        return counter();
      },
      { until: (count) => count >= value, timeoutMs: 180_000 },
    );

  return {
    orderIds,

    readOrders: (pace, ids) =>
      closedLoop(pace, async (count) => {
        // Any order by an administrator, so that it makes no difference whose it is. 7919: a prime, so all have a turn.
        const id = ids[(count * 7919) % ids.length] ?? '';
        unwrap(await admin('GET /api/orders/:id', { params: { id } }));
      }),

    async takeOrders(pace, product) {
      const before = [await handedOver(), await delivered()] as const;
      const used = usage();
      const started = performance.now();
      const posts = await closedLoop(pace, async (count) => void (await takeOne(count, product(count))));
      await reaches('all are handed to fulfilment', handedOver, before[0] + posts.count, pace.signal);
      const seconds = (performance.now() - started) / 1000;
      await reaches('all are delivered', delivered, before[1] + posts.count, pace.signal);
      const cpuMsPerOrder = Object.fromEntries(
        [...spent(used, usage())].map(([name, ms]) => [name, ms / posts.count]),
      );
      return { posts, completedPerSecond: posts.count / seconds, cpuMsPerOrder };
    },

    async singleOrders(times, signal) {
      const taken: number[] = [];
      for (let count = 0; count < times; count++) {
        signal.throwIfAborted();
        const sent = Date.now();
        const id = await takeOne(count, spread(count));
        taken.push((await paidAt(id)) - sent);
      }
      return median(taken);
    },

    close: gateway.close,
  };

  /** When the order was paid, as its own event says. */
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

/** A counter of a service. It comes from the service itself: asking costs the system next to nothing. */
async function readCounter(port: number, counter: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(10_000) });
  const line = (await response.text()).split('\n').find((one) => one.startsWith(`${counter} `));
  return Number(line?.slice(counter.length + 1) ?? 0);
}

/** The shop's products, more of each than any run can sell. */
export function catalogue() {
  return [HOT, ...Array.from({ length: 1000 }, (_, number) => spread(number))].map((product_id) => ({
    product_id,
    name: `Product ${product_id}`,
    unit_price: 1290,
    currency: 'EUR',
    on_hand: 1_000_000,
  }));
}
