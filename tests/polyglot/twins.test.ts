import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { unwrap } from '../../services/gateway/client/client.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import {
  getPayment,
  getProduct,
  login,
  placeOrder,
  registerCustomer,
  waitForStatus,
  type Caller,
} from '../support/shop.ts';
import { commandsOf, requestedTwins } from '../support/twins.ts';
import { waitFor } from '../support/wait.ts';

/** Services in other languages beside the others. tests/system/flows.test.ts has the flows of their orders. */
const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-polyglot-'));
/** By app id. A start of a service reads its command, so a test can swap implementations. */
const commands: Record<string, readonly string[]> = {};
let twins: Record<string, readonly string[]>;
let system: RunningSystem;
let customer: Caller;
let admin: Caller;

beforeAll(async () => {
  twins = await commandsOf(requestedTwins());
  Object.assign(commands, twins);
  system = await startSystem({
    dataDir,
    portOffset: PORT_OFFSETS.polyglot,
    env: {
      gateway: NO_RATE_LIMITS,
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '300', SIMULATED_DELIVERY_DELAY_MS: '300' },
    },
    commands,
  });
  customer = await registerCustomer(system.urls.api);
  admin = await login(system.urls.api, system.admin.email, system.admin.password);
});
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Restarts these services, in other languages or as they are in this repository. */
async function swap(to: 'twins' | 'originals') {
  for (const [name, command] of Object.entries(twins)) {
    if (to === 'twins') commands[name] = command;
    else delete commands[name];
    await system.app(name).service.stop('SIGTERM');
    await system.app(name).service.start();
  }
}

describe('services in other languages', () => {
  it('When a part of an order is returned, then its price is refunded and its stock comes back', async () => {
    const product = 'teapot-iron';
    const { orderId } = await placeOrder(customer, { product, quantity: 2 });
    await waitForStatus(customer, orderId, 'DELIVERED');
    const before = await getProduct(admin, product);
    const items = [{ product_id: product, quantity: 1 }];
    const { return_id: id } = unwrap(
      await customer.call('POST /api/orders/:id/returns', {
        params: { id: orderId },
        body: { items, reason: 'too small' },
      }),
    );
    for (const step of ['approve', 'receive'] as const)
      unwrap(await admin.call(`POST /api/returns/:id/${step}`, { params: { id }, body: {} }));
    await waitFor(
      `return ${id} is refunded`,
      async () => unwrap(await customer.call('GET /api/returns/:id', { params: { id } })),
      { until: ({ status }) => status === 'REFUNDED', timeoutMs: 45_000 },
    );
    expect(await getPayment(customer, orderId)).toMatchObject({
      status: 'CAPTURED',
      refunded: before.unit_price,
    });
    expect((await getProduct(admin, product)).on_hand).toBe(before.on_hand + 1);
  });

  it.each(['originals', 'twins'] as const)(
    'When the %s take over while orders are in progress, then they continue with the state of the others',
    async (successors) => {
      const before = await getProduct(admin, 'mug-white');
      const placed = [];
      for (let count = 0; count < 5; count++)
        placed.push(await placeOrder(customer, { product: 'mug-white' }));
      await swap(successors);
      placed.push(await placeOrder(customer, { product: 'mug-white' }));
      for (const { orderId } of placed) {
        await waitForStatus(customer, orderId, 'DELIVERED', 45_000);
        expect(await getPayment(customer, orderId)).toMatchObject({ status: 'CAPTURED', refunded: 0 });
      }
      const after = await getProduct(admin, 'mug-white');
      expect([before.on_hand - after.on_hand, after.reserved]).toEqual([placed.length, 0]);
      const [first] = placed;
      const refund = await admin.call('POST /api/payments/:order_id/refund', {
        params: { order_id: first!.orderId },
      });
      expect(unwrap(refund).status).toBe('REFUNDED');
    },
    120_000,
  );
});
