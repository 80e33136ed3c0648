import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import {
  login,
  registerCustomer,
  getOrder,
  getPayment,
  placeOrder,
  getProduct,
  waitForStatus,
} from '../support/shop.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { waitFor } from '../support/wait.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-restart-'));
const start = () =>
  startSystem({
    dataDir,
    portOffset: PORT_OFFSETS.restart,
    env: {
      gateway: NO_RATE_LIMITS,
      // Longer than the start of a service on a busy machine, because its orders must not expire meanwhile.
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

describe('a service that restarts', () => {
  it.each(['inventory', 'payments', 'orders', 'fulfilment'])(
    'When %s is killed while orders are in progress, then all of them are delivered after its restart',
    async (id) => {
      const customer = await registerCustomer(system.urls.api);
      const app = system.app(id);
      const early = await Promise.all(Array.from({ length: 5 }, () => placeOrder(customer)));
      await app.service.stop('SIGKILL');
      await app.service.start();
      const late = await placeOrder(customer);
      for (const { orderId } of [...early, late]) {
        const order = await waitForStatus(customer, orderId, 'DELIVERED', 45_000);
        expect(order.version).toBe(5);
      }
    },
  );

  it('When payments is down until the deadline, then the order expires and no money is captured', async () => {
    const customer = await registerCustomer(system.urls.api);
    await system.app('payments').service.stop('SIGKILL');
    const { orderId } = await placeOrder(customer);
    const order = await waitForStatus(customer, orderId, 'EXPIRED', 45_000);
    expect(order.reason).toBe('not paid in time');
    await system.app('payments').service.start();
    await waitFor('stock is free', () => getProduct(customer, 'mug-blue'), {
      until: (product) => product.reserved === 0,
      timeoutMs: 45_000,
    });
    // `payments` may receive the request first and charge, and the expiry after that.
    await waitFor('nothing is kept', () => getPayment(customer, orderId), {
      until: (payment) => payment?.status !== 'CAPTURED' && payment?.status !== 'AUTHORIZED',
      timeoutMs: 45_000,
    });
  });
});

describe('a complete stop and start', () => {
  it('When everything was stopped, then orders, accounts and stock are unchanged', async () => {
    const before = await registerCustomer(system.urls.api);
    const { orderId } = await placeOrder(before);
    const order = await waitForStatus(before, orderId, 'DELIVERED', 30_000);
    const stock = await getProduct(before, 'mug-blue');
    const { admin } = system;
    await system.stop();

    system = await start();
    const after = await login(system.urls.api, before.email, 'correct horse');
    expect(await getOrder(after, orderId)).toEqual(order);
    expect(await getOrder(before, orderId)).toEqual(order);
    expect(await getProduct(after, 'mug-blue')).toEqual(stock);
    expect(system.admin).toEqual(admin);
  });
});
