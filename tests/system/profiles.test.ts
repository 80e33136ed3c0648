import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSystem, type RunningSystem } from '../../deploy/local/system.ts';
import { mailsTo } from '../support/mails.ts';
import {
  newCustomer,
  paymentOf,
  placeOrder,
  untilStatus,
  type Caller,
  type Placed,
} from '../support/shop.ts';
import { UNLIMITED } from '../support/unlimited.ts';
import { until } from '../support/wait.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-profiles-'));

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem({
    dataDir,
    portOffset: 2_600,
    profile: 'nats-postgres',
    replicas: { orders: 2 },
    env: {
      gateway: UNLIMITED,
      orders: { ORDER_RECHECK_MS: '5000' },
      fulfilment: { DISPATCH_AFTER_MS: '300', DELIVER_AFTER_MS: '300' },
    },
  });
});
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Callers are told to try again while something is away, or a sidecar still takes it for that. */
async function placeAtLast(customer: Caller): Promise<Placed> {
  const [placed] = await until(
    'an order is taken',
    () => Promise.allSettled([placeOrder(customer)]),
    ([outcome]) => outcome.status === 'fulfilled',
  );
  if (placed.status === 'rejected') throw placed.reason;
  return placed.value;
}

describe('NATS JetStream and PostgreSQL in place of Redis and SQLite', () => {
  it('When an order is placed, then it is delivered, seen live, and told by mail', async () => {
    const customer = await newCustomer(system.urls.api);
    const { orderId } = await placeOrder(customer);
    let seen: string | undefined;
    for await (const { order } of customer.call.watch(orderId, { signal: AbortSignal.timeout(20_000) }))
      seen = order.status;
    expect(seen).toBe('DELIVERED');
    const mails = await until(
      'the confirmation and the dispatch',
      () => mailsTo(system.urls.mails, customer.email),
      (found) => found.filter(({ html }) => html.includes(orderId)).length >= 2,
    );
    expect(mails.filter(({ html }) => html.includes(orderId))).toHaveLength(2);
  });

  it('When a card is declined, then the order has failed and no money is kept', async () => {
    const customer = await newCustomer(system.urls.api);
    const { orderId } = await placeOrder(customer, { card: 'tok_chargeDeclined' });
    await untilStatus(customer, orderId, 'PAYMENT_FAILED');
    expect((await paymentOf(customer, orderId))?.status).toBe('FAILED');
  });

  it('When inventory is killed while orders are under way, then they are delivered after it is back', async () => {
    const customer = await newCustomer(system.urls.api);
    const { service } = system.app('inventory');
    const placed = await Promise.all(Array.from({ length: 5 }, () => placeOrder(customer)));
    await service.stop('SIGKILL');
    await service.start();
    for (const { orderId } of [...placed, await placeAtLast(customer)])
      expect((await untilStatus(customer, orderId, 'DELIVERED', 40_000)).version).toBe(5);
  });

  it('When a replica of orders is killed with its sidecar, then the other one goes on with all orders', async () => {
    const customer = await newCustomer(system.urls.api);
    const placed = await Promise.all(Array.from({ length: 5 }, () => placeAtLast(customer)));
    const { service, sidecar } = system.app('orders-2');
    await Promise.all([service.stop('SIGKILL'), sidecar.stop('SIGKILL')]);
    for (const { orderId } of placed)
      expect((await untilStatus(customer, orderId, 'DELIVERED', 40_000)).version).toBe(5);
    await Promise.all([service.start(), sidecar.start()]);
  });

  it('When NATS and PostgreSQL are killed and start again, then what there was is there and orders go on', async () => {
    const customer = await newCustomer(system.urls.api);
    const { orderId } = await placeAtLast(customer);
    const before = await untilStatus(customer, orderId, 'DELIVERED');
    for (const title of ['NATS JetStream', 'PostgreSQL']) {
      await system.part(title).stop('SIGKILL');
      await system.part(title).start();
    }
    const after = await placeAtLast(customer);
    expect(await untilStatus(customer, orderId, 'DELIVERED')).toEqual(before);
    await untilStatus(customer, after.orderId, 'DELIVERED', 40_000);
  });
});
