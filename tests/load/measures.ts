import type { RunningSystem } from '../../deploy/local/system/system.ts';
import type { Baselines } from './baselines.ts';
import type { Load, Pace } from './closed-loop.ts';
import { HOT, spread, type OrdersRun, type ShopFloor } from './shop-floor.ts';
import { openStreams } from './open-streams.ts';
import { usage } from './processes.ts';
import { storeOrders } from './stored-orders.ts';

/** What was measured in one round, the bare chain before and after. */
export interface Round {
  chain: [before: number, after: number];
  reads: number;
  posts: number;
  completed: number;
}

export interface Measured {
  /** Every measurement of the bare chain, in their order: how steady the machine was. */
  chains: number[];
  publish: number;
  transaction: number;
  publishAndReceiveMs: number[];
  singleMs: number[];
  empty: Round[];
  hot: number[];
  streams: {
    /** By how much 1,000 open event streams made the gateway's memory grow. Megabytes. */
    memoryMb: number;
    /** Completed orders a second, while they are open and while they are not. */
    open: number[];
    closed: number[];
  };
  storedOrders: number;
  stored: Round[];
  /** Requests that were not answered with success, in all measurements together. */
  failures: number;
  cpuMsPerOrder: Record<string, number>;
}

/** How long and how often, in seconds and rounds. */
const FULL = { warmUp: 30, seconds: 6, rounds: 2, singles: 30, storedOrders: 100_000 };
const QUICK = { warmUp: 16, seconds: 3, rounds: 1, singles: 15, storedOrders: 20_000 };

/** Open event streams beside which orders are taken. */
const STREAMS = 1_000;

/** More failures than this are no bad luck, and the figures would be those of a broken system. */
const TOO_MANY_FAILURES = 20;

export async function measure(options: {
  system: RunningSystem;
  shop: ShopFloor;
  baselines: Baselines;
  quick: boolean;
  signal: AbortSignal;
}): Promise<Measured> {
  const { system, shop, baselines, signal } = options;
  const { warmUp, seconds, rounds, singles, storedOrders } = options.quick ? QUICK : FULL;
  let failures = 0;
  const onFailure = (error: unknown) => {
    failures += 1;
    if (failures > TOO_MANY_FAILURES) throw error;
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
  const orders = (what: string, product: (count: number) => string): Promise<OrdersRun> =>
    step(
      what,
      () => shop.takeOrders(pace, product),
      (run) => run.completedPerSecond,
    );

  async function round(ids: readonly string[]): Promise<Round & { run: OrdersRun }> {
    const before = await chain();
    const reads = await step('reads', () => shop.readOrders(pace, ids), perSecond);
    const run = await orders('orders', spread);
    const after = await chain();
    const { posts, completedPerSecond: completed } = run;
    return { chain: [before, after], reads: reads.perSecond, posts: posts.perSecond, completed, run };
  }

  // Until V8 has compiled what is hot, a service takes twice the processor time; an order goes through most of it.
  await step(
    'warming up: orders',
    () => shop.takeOrders({ ...pace, seconds: warmUp }, spread),
    (run) => run.completedPerSecond,
  );
  const warmUpCalls = { ...pace, seconds: warmUp / 2 };
  await step('warming up: reads', () => shop.readOrders(warmUpCalls, shop.orderIds), perSecond);
  await step('warming up: chain', () => baselines.chain(warmUpCalls), perSecond);

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
        'one order alone, ms',
        () => shop.singleOrders(singles, signal),
        (ms) => ms,
      ),
    );
    const { run, ...measured } = await round(shop.orderIds);
    empty.push(measured);
    runs.push(run);
    hot.push((await orders('orders of one product', () => HOT)).completedPerSecond);
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
    const { run: _, ...measured } = await round(ids);
    stored.push(measured);
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

  async function measureStreams(): Promise<Measured['streams']> {
    const measured: Measured['streams'] = { memoryMb: 0, open: [], closed: [] };
    const gatewayMb = () => usage().find(({ name }) => name === 'gateway')?.memoryMb ?? 0;
    for (let count = 0; count < rounds; count++) {
      measured.closed.push((await orders('orders, no streams', spread)).completedPerSecond);
      const before = gatewayMb();
      const opened = await step(
        `opening ${STREAMS} streams, MB`,
        () => openStreams(system, STREAMS),
        () => gatewayMb() - before,
      );
      measured.memoryMb = Math.max(measured.memoryMb, gatewayMb() - before);
      measured.open.push((await orders('orders, streams open', spread)).completedPerSecond);
      measured.memoryMb = Math.max(measured.memoryMb, gatewayMb() - before);
      await opened.close();
    }
    return measured;
  }

  async function step<T>(what: string, run: () => Promise<T>, figure: (result: T) => number): Promise<T> {
    signal.throwIfAborted();
    const started = performance.now();
    const result = await run();
    const took = ((performance.now() - started) / 1000).toFixed(0).padStart(4);
    console.log(`${took} s  ${what.padEnd(28)} ${figure(result).toFixed(1).padStart(9)}`);
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
