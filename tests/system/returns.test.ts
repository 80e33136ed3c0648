import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { unwrap } from '../../services/gateway/client/client.ts';
import type { Return, ReturnStatus } from '../../services/returns/contract.ts';
import { mailsTo } from '../support/mails.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import {
  getOrder,
  getPayment,
  getProduct,
  login,
  placeOrder,
  registerCustomer,
  waitForStatus,
  type Caller,
} from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';

const PRODUCT = 'mug-blue';
/** Ten seconds. */
const PARCEL_DAYS = '0.000115741';

let system: RunningSystem;
let customer: Caller;
let admin: Caller;
const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-returns-'));

beforeAll(async () => {
  system = await startSystem({
    dataDir,
    portOffset: PORT_OFFSETS.returns,
    replicas: { returns: 2 },
    env: {
      gateway: NO_RATE_LIMITS,
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '0', SIMULATED_DELIVERY_DELAY_MS: '0' },
      returns: {
        RETURN_PARCEL_DAYS: PARCEL_DAYS,
        RETURN_AUTO_APPROVAL_AMOUNT: '1500',
        RETURN_SWEEP_SECONDS: '2',
      },
    },
  });
  admin = await login(system.urls.api, system.admin.email, system.admin.password);
  customer = await registerCustomer(system.urls.api);
}, 180_000);
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function deliveredOrder(quantity: number): Promise<string> {
  const { orderId } = await placeOrder(customer, { product: PRODUCT, quantity });
  await waitForStatus(customer, orderId, 'DELIVERED');
  return orderId;
}

async function requestReturn(orderId: string, quantity: number): Promise<Return> {
  const response = await customer.call('POST /api/orders/:id/returns', {
    params: { id: orderId },
    body: { items: [{ product_id: PRODUCT, quantity }], reason: 'too small' },
    headers: { 'idempotency-key': randomUUID() },
  });
  return unwrap(response);
}

const step = async (
  name: 'approve' | 'reject' | 'receive' | 'cancel',
  { return_id: id }: Return,
  body: Record<string, unknown> = {},
) => admin.call(`POST /api/returns/:id/${name}`, { params: { id }, body });

const waitForReturn = async ({ return_id: id }: Return, status: ReturnStatus): Promise<Return> =>
  unwrap(
    await waitFor(
      `return ${id} is ${status}`,
      () => customer.call('GET /api/returns/:id', { params: { id } }),
      { until: (response) => response.ok && response.body.status === status, timeoutMs: 60_000 },
    ),
  );

describe('a return', () => {
  it('When it is approved and its parcel arrives, then exactly that is refunded and restocked', async () => {
    const orderId = await deliveredOrder(3);
    const before = await getProduct(customer, PRODUCT);
    const requested = await requestReturn(orderId, 2);
    expect(requested).toMatchObject({ status: 'REQUESTED', total: 2 * before.unit_price });
    unwrap(await step('approve', requested));
    unwrap(await step('receive', requested, { items: [{ product_id: PRODUCT, quantity: 1 }] }));
    const done = await waitForReturn(requested, 'REFUNDED');
    expect(done.refunded).toBe(before.unit_price);
    expect(await getPayment(customer, orderId)).toMatchObject({ refunded: before.unit_price });
    expect((await getProduct(customer, PRODUCT)).on_hand).toBe(before.on_hand + 1);
    const order = await waitFor('the order shows the return', () => getOrder(customer, orderId), {
      until: ({ returned = [] }) => returned.length > 0,
    });
    expect(order).toMatchObject({
      status: 'DELIVERED',
      refunded: before.unit_price,
      returned: [{ return_id: requested.return_id, items: [{ product_id: PRODUCT, quantity: 1 }] }],
    });
    const params = { id: orderId };
    expect(unwrap(await customer.call('GET /api/orders/:id/returns', { params })).items).toHaveLength(1);
    const subjects = ['Your return is approved', 'Your parcel has arrived', 'Your return is refunded'];
    const mails = await waitFor('three e-mails', () => mailsTo(system.urls.mails, customer.email), {
      until: (found) => subjects.every((subject) => found.some((mail) => mail.subject === subject)),
    });
    for (const subject of subjects) expect(mails.filter((mail) => mail.subject === subject)).toHaveLength(1);
  });

  it('When its amount is small, then a rule approves it, and without a parcel it expires', async () => {
    const requested = await requestReturn(await deliveredOrder(1), 1);
    expect((await waitForReturn(requested, 'APPROVED')).label).toMatch(/^RT/);
    await waitForReturn(requested, 'EXPIRED');
    expect((await step('receive', requested)).status).toBe(409);
  });
});

describe('a crash', () => {
  it.each(['returns', 'returns-2'])(
    'When the service of %s is killed, then every return ends',
    async (name) => {
      const orderId = await deliveredOrder(4);
      const open = await Promise.all([requestReturn(orderId, 2), requestReturn(orderId, 2)]);
      for (const one of open) unwrap(await step('approve', one));
      const received = open.map((one) => step('receive', one));
      await system.app(name).service.stop('SIGKILL');
      await Promise.all(received);
      await system.app(name).service.start();
      for (const one of open) {
        const retried = await step('receive', one);
        expect([200, 409]).toContain(retried.status);
        await waitForReturn(one, 'REFUNDED');
      }
      const order = await getOrder(customer, orderId);
      await waitFor('the order shows both', () => getOrder(customer, orderId), {
        until: ({ refunded }) => refunded === order.total,
      });
    },
    120_000,
  );
});
