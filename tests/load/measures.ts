import type { RunningSystem } from '../../deploy/local/system/system.ts';
import type { Baselines } from './baselines.ts';
import type { Pace } from './closed-loop.ts';
import { isOfSystem, meanCost, totalCpuMs, type MachineLoad, type OrderCost } from './cost.ts';
import { HOT_PRODUCT, spreadProduct, type BenchmarkShop, type OrdersRun } from './benchmark-shop.ts';
import { openStreams } from './open-streams.ts';
import { memoryMbOf, usage } from './processes.ts';
import { slowestScrapeMs } from './scrapes.ts';
import { createSteps, perSecond } from './steps.ts';
import { storeOrders } from './stored-orders.ts';

/** What is measured several times. Rates are per second. */
export type Measure =
  | 'chain'
  | 'look up, store and publish'
  | 'workflow of five empty activities'
  | 'publish and receive, ms'
  | 'one order at a time, ms'
  | 'orders accepted in a burst'
  | 'GET /api/orders/:id'
  | 'completed orders'
  | 'completed orders, one product'
  | 'refunded returns'
  | 'refunded returns, one client'
  | 'completed orders beside returns'
  | 'completed orders, 1,000 streams'
  | 'memory of 1,000 streams, MB'
  | 'storing a million orders'
  | 'chain, a million orders'
  | 'GET /api/orders/:id, a million orders'
  | 'completed orders, a million orders'
  | 'slowest scrape, a million orders, ms'
  | `warm-up: ${string}`;

export interface Measurements {
  samples: Partial<Record<Measure, number[]>>;
  /** The processor time of a request of the chain. */
  chainCpuMs: number[];
  /** Failed requests of all measurements. */
  failures: number;
  /** What the orders of `completed orders` cost. */
  cost: OrderCost;
  /** The processor time of a return, of all processes. */
  returnCpuMs: number[];
  /** The returns' share of the processor time while orders were beside them. */
  returnShares: number[];
  /** The load of the machine in the last of these rounds. */
  machine: MachineLoad;
}

/**
 * The durations in seconds, and the numbers of rounds and orders. V8 compiles the code of an order for minutes: completed orders rise
 * from 60 to 80 per second meanwhile.
 */
const FULL_RUN = { orderWarmUpSeconds: 120, warmUpSeconds: 10, seconds: 6, rounds: 3, singles: 30 };
const QUICK_RUN = { orderWarmUpSeconds: 16, warmUpSeconds: 5, seconds: 4, rounds: 1, singles: 15 };
/** So short that most orders are accepted before the first are delivered. */
const BURST_SECONDS = 2;
const WORKFLOW_CLIENTS = 20;
/** The clients of the returns beside orders. One client makes a few returns per second. */
const RETURN_CLIENTS = 1;
const STORED_ORDERS = 1_000_000;
const STREAM_COUNT = 1_000;

export async function measure(options: {
  system: RunningSystem;
  dataDir: string;
  portOffset: number;
  shop: BenchmarkShop;
  baselines: Baselines;
  /** Without event streams and a million orders. */
  quick: boolean;
  signal: AbortSignal;
}): Promise<Measurements> {
  const { system, dataDir, portOffset, shop, baselines, quick, signal } = options;
  const { orderWarmUpSeconds, warmUpSeconds, seconds, rounds, singles } = quick ? QUICK_RUN : FULL_RUN;
  const { run, samples, onFailure, failures } = createSteps<Measure>(signal);
  const pace: Pace = { seconds, signal, onFailure };
  const burst: Pace = { ...pace, seconds: BURST_SECONDS };
  const workflowPace: Pace = { ...pace, clients: WORKFLOW_CLIENTS };
  const chainCpuMs: number[] = [];
  const runs: OrdersRun[] = [];
  const returnCpuMs: number[] = [];
  const returnShares: number[] = [];
  const completed = (result: OrdersRun) => result.completedPerSecond;
  const milliseconds = (ms: number) => ms;

  const chain = async (name: Measure) =>
    chainCpuMs.push((await run(name, () => baselines.chain(pace), perSecond)).cpuMs);
  const reads = (name: Measure, ids: readonly string[]) =>
    run(name, () => shop.readOrders(pace, ids), perSecond);
  /** @returns the processor time of a return */
  const returns = async (name: Measure, at: Pace) => {
    const { cost } = await run(name, () => shop.returnOrders(at), perSecond);
    return totalCpuMs(cost.cpuMs, isOfSystem);
  };
  const orders = (name: Measure, product = spreadProduct) =>
    run(name, () => shop.placeOrders(pace, product), completed);

  await warmUp();
  for (let count = 0; count < rounds; count++) {
    await run('publish and receive, ms', () => baselines.publishAndReceive(singles * 5), milliseconds);
    await run('one order at a time, ms', () => shop.singleOrders(singles, signal), milliseconds);
    await run('look up, store and publish', () => baselines.lookUpStorePublish(burst), perSecond);
    await run(
      'orders accepted in a burst',
      () => shop.placeOrders(burst, spreadProduct),
      ({ posts }) => posts.perSecond,
    );
    await run('workflow of five empty activities', () => baselines.workflow(workflowPace), perSecond);
    await chain('chain');
    await reads('GET /api/orders/:id', shop.orderIds);
    runs.push(await orders('completed orders'));
    await chain('chain');
    await orders('completed orders, one product', () => HOT_PRODUCT);
    returnCpuMs.push(await returns('refunded returns', pace));
    await ordersBesideReturns();
  }
  if (!quick) {
    for (let count = 0; count < rounds; count++) await withStreams();
    await withMillionOrders();
  }

  const machine = runs.at(-1)?.machine ?? { busy: 0, cores: {} };
  return {
    samples,
    chainCpuMs,
    failures: failures(),
    cost: meanCost(runs.map(({ cost }) => cost)),
    returnCpuMs,
    returnShares,
    machine,
  };

  async function ordersBesideReturns(): Promise<void> {
    const few: Pace = { ...pace, clients: RETURN_CLIENTS };
    // One of few returns costs more than one of many, which share wake-ups.
    const cpuMs = await returns('refunded returns, one client', few);
    const returning = shop.returnOrders(few);
    const beside = await orders('completed orders beside returns');
    const returned = await returning;
    const totalMs = totalCpuMs(beside.cost.cpuMs, isOfSystem) * beside.posts.count;
    returnShares.push((returned.count * cpuMs) / totalMs);
  }

  /**
   * Before V8 has compiled hot code, a service takes twice the processor time. An order runs through most of the code.
   */
  async function warmUp(): Promise<void> {
    // A cold system may reject orders.
    const long: Pace = { ...pace, seconds: orderWarmUpSeconds, onFailure: () => {} };
    const short: Pace = { ...pace, seconds: warmUpSeconds };
    await run('warm-up: orders', () => shop.placeOrders(long, spreadProduct), completed);
    await run('warm-up: reads', () => shop.readOrders(short, shop.orderIds), perSecond);
    await run('warm-up: chain', () => baselines.chain(short), perSecond);
    await run('warm-up: look up, store and publish', () => baselines.lookUpStorePublish(short), perSecond);
    await run(
      'warm-up: workflow',
      () => baselines.workflow({ ...short, clients: WORKFLOW_CLIENTS }),
      perSecond,
    );
  }

  async function withStreams(): Promise<void> {
    const gatewayMb = () => memoryMbOf(usage(), 'gateway');
    const before = gatewayMb();
    const opened = await run(
      'memory of 1,000 streams, MB',
      () => openStreams(system, STREAM_COUNT),
      () => gatewayMb() - before,
    );
    await orders('completed orders, 1,000 streams');
    await opened.close();
  }

  async function withMillionOrders(): Promise<void> {
    const ids = await run(
      'storing a million orders',
      () => storeOrders(dataDir, STORED_ORDERS, signal),
      (stored) => stored.length,
    );
    await run('slowest scrape, a million orders, ms', () => slowestScrapeMs(portOffset), milliseconds);
    await reads('warm-up: reads', ids);
    for (let count = 0; count < rounds; count++) {
      await chain('chain, a million orders');
      await reads('GET /api/orders/:id, a million orders', ids);
      await orders('completed orders, a million orders');
      await chain('chain, a million orders');
    }
  }
}
