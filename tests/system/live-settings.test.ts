import { createClient as createRedisClient } from '@redis/client';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { portsAt } from '../../deploy/local/configuration/ports.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { getApiLimit } from '../support/rate-limits.ts';
import { callSidecar } from '../support/real-sidecar.ts';
import {
  registerCustomer,
  placeOrderWithRetry,
  placeOrder,
  waitForStatus,
  type Caller,
} from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';
import { TIMED } from '../support/timed.ts';

/** Settings of a running system change through the real configuration store, in each of two replicas. */

const offset = PORT_OFFSETS.liveSettings;
const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-live-settings-'));
const EFFECTIVE_WITHIN_MS = 5_000;
const A_MINUTE_MS = '60000';

let system: RunningSystem;
let customer: Caller;
/** The configuration store, as an operator has it. */
let store: ReturnType<typeof connect>;
const connect = () =>
  createRedisClient({ socket: { host: '127.0.0.1', port: portsAt(offset).redis }, database: 1 });

beforeAll(async () => {
  system = await startSystem({
    dataDir,
    portOffset: offset,
    replicas: { gateway: 2, fulfilment: 2 },
    env: {
      gateway: NO_RATE_LIMITS,
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: A_MINUTE_MS, SIMULATED_DELIVERY_DELAY_MS: A_MINUTE_MS },
    },
  });
  customer = await registerCustomer(system.urls.api);
  store = connect();
  store.on('error', () => {});
  await store.connect();
});
afterAll(async () => {
  store?.destroy();
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const GATEWAYS = ['gateway', 'gateway-2'];
const WAREHOUSES = ['fulfilment', 'fulfilment-2'];

/** The rate limits that both gateways state. */
const limits = () =>
  Promise.all(GATEWAYS.map((name) => getApiLimit(`http://127.0.0.1:${system.app(name).appPort}`, customer)));
const logsOf = (name: string) =>
  readFileSync(join(system.logDir, `${name}.log`), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const countLines = (name: string, message: string) =>
  logsOf(name).filter(({ msg }) => String(msg).startsWith(message)).length;
const rejections = () => GATEWAYS.map((name) => countLines(name, 'setting rejected'));

const all = (expected: number) => (values: number[]) => values.every((value) => value === expected);
const waitUntilEffective = (
  description: string,
  poll: () => number[] | Promise<number[]>,
  until: (values: number[]) => boolean,
  timeoutMs = EFFECTIVE_WITHIN_MS,
) => waitFor(description, poll, { until, timeoutMs });
const limitsBecome = (limit: number, timeoutMs?: number) =>
  waitUntilEffective(`the limits are ${limit}`, limits, all(limit), timeoutMs);

describe('settings in the configuration store', () => {
  it('When a rate limit is set and deleted, then every replica follows within five seconds', async () => {
    await store.set('gateway/RATE_LIMIT_API', '4321||1');
    expect(await limitsBecome(4_321)).toHaveLength(2);
    await store.del('gateway/RATE_LIMIT_API');
    expect(await limitsBecome(Number(NO_RATE_LIMITS.RATE_LIMIT_API))).toHaveLength(2);
  });

  it('When a value is wrong, then each replica logs that once and keeps the old one', async () => {
    await store.set('gateway/RATE_LIMIT_API', '777');
    await limitsBecome(777);
    await store.set('gateway/RATE_LIMIT_API', 'plenty');
    await waitUntilEffective('both replicas reject it', rejections, all(1));
    await delay(EFFECTIVE_WITHIN_MS);
    expect(rejections()).toEqual([1, 1]);
    expect(await limits()).toEqual([777, 777]);
    await store.del('gateway/RATE_LIMIT_API');
  });

  it('When the log level is set and deleted, then the log follows', async () => {
    const logsRequests = async () => {
      const before = countLines('inventory', 'request completed');
      await limits();
      await delay(200);
      return countLines('inventory', 'request completed') > before;
    };
    const timeoutMs = EFFECTIVE_WITHIN_MS;
    expect(await logsRequests()).toBe(true);
    await store.set('inventory/LOG_LEVEL', 'error');
    await waitFor('requests are not logged', async () => !(await logsRequests()), { timeoutMs });
    await store.del('inventory/LOG_LEVEL');
    await waitFor('requests are logged', logsRequests, { timeoutMs });
  });

  it('When the number of traces per second is zero, then no replica begins a trace', async () => {
    const sampled = () =>
      Promise.all(
        GATEWAYS.map(async (name) => {
          const { headers } = await fetch(`http://127.0.0.1:${system.app(name).appPort}/api/inventory`);
          return Number(headers.get('traceresponse')?.split('-').at(-1));
        }),
      );
    await waitUntilEffective('both keep traces', sampled, all(1));
    await store.set('gateway/TRACES_PER_SECOND', '0');
    expect(await waitUntilEffective('both keep none', sampled, all(0))).toHaveLength(2);
    await store.del('gateway/TRACES_PER_SECOND');
    await waitUntilEffective('both keep traces again', sampled, all(1));
  });

  it('When the maximum wait of new orders is set, then orders has it', async () => {
    await store.set('orders/ORDER_MAX_QUEUE_WAIT_MS', '200');
    const changes = () => [countLines('orders', 'setting changed')];
    expect(await waitUntilEffective('orders has it', changes, all(1))).toEqual([1]);
    await store.del('orders/ORDER_MAX_QUEUE_WAIT_MS');
  });

  it('When the delays of the warehouse are set, then orders are delivered at once', async () => {
    await store.set('fulfilment/SIMULATED_DISPATCH_DELAY_MS', '100');
    await store.set('fulfilment/SIMULATED_DELIVERY_DELAY_MS', '100');
    const changes = () => WAREHOUSES.map((name) => countLines(name, 'setting changed'));
    await waitUntilEffective('both replicas have both', changes, all(2));
    const placed = await Promise.all(Array.from({ length: 6 }, () => placeOrder(customer)));
    const delivered = placed.map(({ orderId }) => waitForStatus(customer, orderId, 'DELIVERED', 15_000));
    expect(await Promise.all(delivered)).toHaveLength(6);
  });

  it('When the store is unavailable, then settings stay and no request waits', TIMED, async () => {
    await store.set('gateway/RATE_LIMIT_API', '888');
    await limitsBecome(888);
    const redis = system.infrastructure('Redis');
    await redis.stop('SIGKILL');
    await delay(8_000);
    const startedAt = performance.now();
    const meanwhile = await limits();
    const durationMs = performance.now() - startedAt;
    await redis.start();
    await waitFor('the store is back', () => store.set('gateway/RATE_LIMIT_API', '999'));
    await limitsBecome(999, 30_000);
    const { orderId } = await placeOrderWithRetry(customer);
    await waitForStatus(customer, orderId, 'DELIVERED', 30_000);
    expect(meanwhile).toEqual([888, 888]);
    expect(durationMs).toBeLessThan(1_500);
  });

  it('When a service reads the store, then it finds nothing but settings', async () => {
    const response = await callSidecar(system.app('orders'), '/v1.0/configuration/settings');
    const keys = Object.keys((await response.json()) as object);
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.filter((key) => !/^[a-z]+\/[A-Z_]+$/.test(key))).toEqual([]);
  });
});
