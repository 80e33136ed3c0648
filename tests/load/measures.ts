import type { RunningSystem } from '../../deploy/local/system/system.ts';
import type { Baselines } from './baselines.ts';
import type { Load, Pace } from './closed-loop.ts';
import { HOT_PRODUCT, spreadProduct, type OrdersRun, type BenchmarkShop } from './benchmark-shop.ts';
import { openStreams } from './open-streams.ts';
import { usage } from './processes.ts';
import { storeOrders } from './stored-orders.ts';

/** The measurements of one round, with the bare chain before and after it. */
export interface Round {
  chain: [before: number, after: number];
  reads: number;
  posts: number;
  completed: number;
}

export interface Measurements {
  /** All measurements of the bare chain in order, which show how steady the machine was. */
  chains: number[];
  publish: number;
  transaction: number;
  publishAndReceiveMs: number[];
  singleMs: number[];
  empty: Round[];
  hot: number[];
  streams: {
    /** The growth of the gateway by 1,000 open event streams. */
    memoryMb: number;
    /** Completed orders per second, with and without open streams. */
    open: number[];
    closed: number[];
  };
  storedOrders: number;
  stored: Round[];
  /** The failed requests of all measurements. */
  failures: number;
  cpuMsPerOrder: Record<string, number>;
}

/** The durations in seconds, and the numbers of rounds and orders. */
const FULL_RUN = { warmUpSeconds: 30, seconds: 6, rounds: 2, singles: 30, storedOrders: 100_000 };
const QUICK_RUN = { warmUpSeconds: 16, seconds: 3, rounds: 1, singles: 15, storedOrders: 20_000 };

/** The number of open event streams. */
const STREAM_COUNT = 1_000;

/** More failures end the benchmark, because the system is broken. */
const MAX_FAILURES = 20;

export async function measure(options: {
  system: RunningSystem;
  shop: BenchmarkShop;
  baselines: Baselines;
  quick: boolean;
  signal: AbortSignal;
}): Promise<Measurements> {
  const { system, shop, baselines, signal } = options;
  const { warmUpSeconds, seconds, rounds, singles, storedOrders } = options.quick ? QUICK_RUN : FULL_RUN;
  let failures = 0;
  const onFailure = (error: unknown) => {
    failures += 1;
    if (failures > MAX_FAILURES) throw error;
    console.log(`        failed: ${String(error)}`);
  };
  const pace: Pace = { seconds, signal, onFailure };
  const chains: number[] = [];
  const perSecond = (load: Load) => load.perSecond;
  const chain = async () => {
    const rate = perSecond(await step('chain', () => baselines.chain(pace), perSecond));
    chains.push(rate);
    return rate;
  };
  const orders = (label: string, product: (count: number) => string): Promise<OrdersRun> =>
    step(
      label,
      () => shop.placeOrders(pace, product),
      (run) => run.completedPerSecond,
    );

  async function round(ids: readonly string[]): Promise<Round & { run: OrdersRun }> {
    const before = await chain();
    const reads = await step('reads', () => shop.readOrders(pace, ids), perSecond);
    const run = await orders('orders', spreadProduct);
    const after = await chain();
    const { posts, completedPerSecond: completed } = run;
    return { chain: [before, after], reads: reads.perSecond, posts: posts.perSecond, completed, run };
  }

  // Before V8 has compiled hot code, a service takes twice the processor time. An order runs through most of the code.
  await step(
    'warming up: orders',
    () => shop.placeOrders({ ...pace, seconds: warmUpSeconds }, spreadProduct),
    (run) => run.completedPerSecond,
  );
  const warmUpPace = { ...pace, seconds: warmUpSeconds / 2 };
  await step('warming up: reads', () => shop.readOrders(warmUpPace, shop.orderIds), perSecond);
  await step('warming up: chain', () => baselines.chain(warmUpPace), perSecond);

  const publish = await step('publish', () => baselines.publish(pace), perSecond);
  const transaction = await step('transaction', () => baselines.transaction(pace), perSecond);

  const publishAndReceiveMs: number[] = [];
  const singleMs: number[] = [];
  const empty: Round[] = [];
  const hot: number[] = [];
  const runs: OrdersRun[] = [];
  for (let count = 0; count < rounds; count++) {
    publishAndReceiveMs.push(
      await step(
        'publish and receive, ms',
        () => baselines.publishAndReceive(singles * 5),
        (ms) => ms,
      ),
    );
    singleMs.push(
      await step(
        'one order at a time, ms',
        () => shop.singleOrders(singles, signal),
        (ms) => ms,
      ),
    );
    const { run, ...result } = await round(shop.orderIds);
    empty.push(result);
    runs.push(run);
    hot.push((await orders('orders of one product', () => HOT_PRODUCT)).completedPerSecond);
  }

  const streams = await measureStreams();

  const ids = await step(
    `storing ${storedOrders} orders`,
    () => storeOrders(system, storedOrders, 1000),
    (stored) => stored.length,
  );
  await step('warming up: reads', () => shop.readOrders(pace, ids), perSecond);
  const stored: Round[] = [];
  for (let count = 0; count < rounds; count++) {
    const { run: _, ...result } = await round(ids);
    stored.push(result);
  }

  return {
    chains,
    publish: publish.perSecond,
    transaction: transaction.perSecond,
    publishAndReceiveMs,
    singleMs,
    empty,
    hot,
    streams,
    storedOrders,
    stored,
    failures,
    cpuMsPerOrder: meanOf(runs.map(({ cpuMsPerOrder }) => cpuMsPerOrder)),
  };

  async function measureStreams(): Promise<Measurements['streams']> {
    const result: Measurements['streams'] = { memoryMb: 0, open: [], closed: [] };
    const gatewayMb = () => usage().find(({ name }) => name === 'gateway')?.memoryMb ?? 0;
    for (let count = 0; count < rounds; count++) {
      result.closed.push((await orders('orders, no streams', spreadProduct)).completedPerSecond);
      const before = gatewayMb();
      const opened = await step(
        `opening ${STREAM_COUNT} streams, MB`,
        () => openStreams(system, STREAM_COUNT),
        () => gatewayMb() - before,
      );
      result.memoryMb = Math.max(result.memoryMb, gatewayMb() - before);
      result.open.push((await orders('orders, streams open', spreadProduct)).completedPerSecond);
      result.memoryMb = Math.max(result.memoryMb, gatewayMb() - before);
      await opened.close();
    }
    return result;
  }

  async function step<T>(label: string, run: () => Promise<T>, figure: (result: T) => number): Promise<T> {
    signal.throwIfAborted();
    const started = performance.now();
    const result = await run();
    const elapsed = ((performance.now() - started) / 1000).toFixed(0).padStart(4);
    console.log(`${elapsed} s  ${label.padEnd(28)} ${figure(result).toFixed(1).padStart(9)}`);
    return result;
  }
}

function meanOf(records: Record<string, number>[]): Record<string, number> {
  const names = Object.keys(records[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, mean(records.map((record) => record[name] ?? 0))]));
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
