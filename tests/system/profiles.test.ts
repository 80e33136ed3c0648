import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  executeStopped,
  findPostgres,
  SETTINGS_DATABASE,
} from '../../deploy/local/profiles/nats-postgres/postgres.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { defineOrderFlowTests } from '../support/order-flows.ts';
import { registerCustomer, placeOrderWithRetry, placeOrder, waitForStatus } from '../support/shop.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { getApiLimit } from '../support/rate-limits.ts';
import { waitFor } from '../support/wait.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-profiles-'));

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem({
    dataDir,
    portOffset: PORT_OFFSETS.profiles,
    profile: 'nats-postgres',
    replicas: { orders: 2 },
    env: {
      gateway: NO_RATE_LIMITS,
      orders: { ORDER_WATCHDOG_INTERVAL_MS: '5000' },
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '1000', SIMULATED_DELIVERY_DELAY_MS: '300' },
    },
  });
});
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('NATS JetStream and PostgreSQL instead of Redis and SQLite', () => {
  defineOrderFlowTests(() => system);

  it('When inventory is killed while orders are in progress, then they are delivered after its restart', async () => {
    const customer = await registerCustomer(system.urls.api);
    const { service } = system.app('inventory');
    const placed = await Promise.all(Array.from({ length: 5 }, () => placeOrder(customer)));
    await service.stop('SIGKILL');
    await service.start();
    for (const { orderId } of [...placed, await placeOrderWithRetry(customer)])
      expect((await waitForStatus(customer, orderId, 'DELIVERED', 40_000)).version).toBe(5);
  });

  it('When a replica of orders is killed with its sidecar, then the other one completes all orders', async () => {
    const customer = await registerCustomer(system.urls.api);
    const placed = await Promise.all(Array.from({ length: 5 }, () => placeOrderWithRetry(customer)));
    const { service, sidecar } = system.app('orders-2');
    await Promise.all([service.stop('SIGKILL'), sidecar.stop('SIGKILL')]);
    for (const { orderId } of placed)
      expect((await waitForStatus(customer, orderId, 'DELIVERED', 40_000)).version).toBe(5);
    await Promise.all([service.start(), sidecar.start()]);
  });

  it('When NATS and PostgreSQL are killed and restarted, then all data remains and orders continue', async () => {
    const customer = await registerCustomer(system.urls.api);
    const { orderId } = await placeOrderWithRetry(customer);
    const before = await waitForStatus(customer, orderId, 'DELIVERED');
    for (const title of ['NATS JetStream', 'PostgreSQL']) {
      await system.infrastructure(title).stop('SIGKILL');
      await system.infrastructure(title).start();
    }
    const after = await placeOrderWithRetry(customer);
    expect(await waitForStatus(customer, orderId, 'DELIVERED')).toEqual(before);
    await waitForStatus(customer, after.orderId, 'DELIVERED', 40_000);
  });

  it('When a setting is in the table, then it is effective, and after its deletion the environment is again', async () => {
    const customer = await registerCustomer(system.urls.api);
    const limit = () => getApiLimit(system.urls.api, customer);
    const execute = async (statement: string) => {
      await system.infrastructure('PostgreSQL').stop('SIGINT');
      executeStopped(findPostgres(), join(dataDir, 'postgres'), SETTINGS_DATABASE, [statement]);
      await system.infrastructure('PostgreSQL').start();
    };
    await execute("INSERT INTO settings (key, value) VALUES ('gateway/RATE_LIMIT_API', '4321')");
    await waitFor('the limit changes', limit, { until: (value) => value === 4_321 });
    await execute("DELETE FROM settings WHERE key = 'gateway/RATE_LIMIT_API'");
    const usual = Number(NO_RATE_LIMITS.RATE_LIMIT_API);
    expect(await waitFor('the limit is restored', limit, { until: (value) => value === usual })).toBe(usual);
  });
});
