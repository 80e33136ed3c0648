import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { OFFSETS } from '../support/offsets.ts';
import {
  login,
  newCustomer,
  orderOf,
  paymentOf,
  placeOrder,
  productOf,
  untilStatus,
} from '../support/shop.ts';
import { UNLIMITED } from '../support/unlimited.ts';
import { until } from '../support/wait.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-restart-'));
const start = () =>
  startSystem({
    dataDir,
    portOffset: OFFSETS.restart,
    env: {
      gateway: UNLIMITED,
      // Longer than a service takes to start on a busy machine: its orders must not expire meanwhile.
      orders: { ORDER_WATCHDOG_INTERVAL_MS: '1000', ORDER_PAYMENT_DEADLINE_MS: '15000' },
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '300', SIMULATED_DELIVERY_DELAY_MS: '300' },
    },
  });

let system: RunningSystem;
beforeAll(async () => {
  system = await start();
});
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('a service that is restarted', () => {
  it.each(['inventory', 'payments', 'orders', 'fulfilment'])(
    'When %s is killed while orders are under way, then all of them are delivered after it is back',
    async (id) => {
      const customer = await newCustomer(system.urls.api);
      const app = system.app(id);
      const early = await Promise.all(Array.from({ length: 5 }, () => placeOrder(customer)));
      await app.service.stop('SIGKILL');
      await app.service.start();
      const late = await placeOrder(customer);
      for (const { orderId } of [...early, late]) {
        const order = await untilStatus(customer, orderId, 'DELIVERED', 45_000);
        expect(order.version).toBe(5);
      }
    },
  );

  it('When payments is down until the deadline, then the order expires and nothing is kept', async () => {
    const customer = await newCustomer(system.urls.api);
    await system.app('payments').service.stop('SIGKILL');
    const { orderId } = await placeOrder(customer);
    const order = await untilStatus(customer, orderId, 'EXPIRED', 45_000);
    expect(order.reason).toBe('not paid in time');
    await system.app('payments').service.start();
    await until(
      'stock is free',
      () => productOf(customer, 'mug-blue'),
      (product) => product.reserved === 0,
      45_000,
    );
    // Payments may hear of the payment first and charge, and of the expiry then.
    await until(
      'nothing is kept',
      () => paymentOf(customer, orderId),
      (payment) => payment?.status !== 'CAPTURED' && payment?.status !== 'AUTHORIZED',
      45_000,
    );
  });
});

describe('a full stop and start', () => {
  it('When everything was stopped, then orders, accounts and stock are as they were', async () => {
    const before = await newCustomer(system.urls.api);
    const { orderId } = await placeOrder(before);
    const order = await untilStatus(before, orderId, 'DELIVERED', 30_000);
    const stock = await productOf(before, 'mug-blue');
    const { admin } = system;
    await system.stop();

    system = await start();
    const after = await login(system.urls.api, before.email, 'correct horse');
    expect(await orderOf(after, orderId)).toEqual(order);
    expect(await orderOf(before, orderId)).toEqual(order);
    expect(await productOf(after, 'mug-blue')).toEqual(stock);
    expect(system.admin).toEqual(admin);
  });
});
