import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import type { ManagedProcess } from '../../deploy/local/system/managed-process.ts';
import { unwrap } from '../../services/gateway/client/client.ts';
import type { Return, ReturnStatus } from '../../services/returns/contract.ts';
import { RETURN_WORKFLOW, returnWorkflow } from '../../services/returns/workflow/return-workflow.ts';
import { mailsTo } from '../support/mails.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { replay } from '../support/replayed-workflow.ts';
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
import { commandsOf, requestedTwins } from '../support/twins.ts';
import { firstSuccess, waitFor } from '../support/wait.ts';
import { openSqlite } from '../support/sqlite.ts';

const PRODUCT = 'mug-blue';
/** On a busy machine, a service takes half a minute to start again after a crash. Meanwhile no return may expire. */
const PARCEL_DAYS = 0.001;
const PARCEL_MS = PARCEL_DAYS * 24 * 3_600_000;

let system: RunningSystem;
let customer: Caller;
let admin: Caller;
const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-returns-'));

beforeAll(async () => {
  system = await startSystem({
    dataDir,
    portOffset: PORT_OFFSETS.returns,
    commands: await commandsOf(requestedTwins()),
    replicas: { returns: 2 },
    env: {
      gateway: NO_RATE_LIMITS,
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '0', SIMULATED_DELIVERY_DELAY_MS: '0' },
      returns: {
        RETURN_PARCEL_DAYS: String(PARCEL_DAYS),
        RETURN_AUTO_APPROVAL_AMOUNT: '1500',
        RETURN_SWEEP_SECONDS: '2',
      },
    },
  });
  admin = await login(system.urls.api, system.admin.email, system.admin.password);
  customer = await registerCustomer(system.urls.api);
});
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const afterFault = <T>(request: () => Promise<T>) => firstSuccess('a request after a fault', request);

async function deliveredOrder(quantity: number): Promise<string> {
  const { orderId } = await afterFault(() => placeOrder(customer, { product: PRODUCT, quantity }));
  await waitForStatus(customer, orderId, 'DELIVERED');
  return orderId;
}

async function requestReturn(orderId: string, quantity: number): Promise<Return> {
  const request = {
    params: { id: orderId },
    body: { items: [{ product_id: PRODUCT, quantity }], reason: 'too small' },
    headers: { 'idempotency-key': randomUUID() },
  };
  return afterFault(async () => unwrap(await customer.call('POST /api/orders/:id/returns', request)));
}

const step = async (
  name: 'approve' | 'reject' | 'receive' | 'cancel',
  { return_id: id }: Return,
  body: Record<string, unknown> = {},
) => admin.call(`POST /api/returns/:id/${name}`, { params: { id }, body });

const waitForReturn = async (
  { return_id: id }: Return,
  status: ReturnStatus,
  timeoutMs = 60_000,
): Promise<Return> =>
  unwrap(
    await waitFor(
      `return ${id} is ${status}`,
      () => customer.call('GET /api/returns/:id', { params: { id } }),
      { until: (response) => response.ok && response.body.status === status, timeoutMs },
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

  it(
    'When its amount is small, then a rule approves it, and without a parcel it expires',
    { timeout: 3 * PARCEL_MS },
    async () => {
      const requested = await requestReturn(await deliveredOrder(1), 1);
      expect((await waitForReturn(requested, 'APPROVED')).label).toMatch(/^RT/);
      await waitForReturn(requested, 'EXPIRED', 2 * PARCEL_MS);
      expect((await step('receive', requested)).status).toBe(409);
    },
  );
});

describe('a crash', () => {
  const TARGETS: Record<string, () => ManagedProcess> = {
    'the service': () => system.app('returns').service,
    'its sidecar': () => system.app('returns').sidecar,
    'the second replica': () => system.app('returns-2').service,
    placement: () => system.infrastructure('Dapr placement'),
    'the scheduler': () => system.infrastructure('Dapr scheduler'),
  };

  it.each(Object.keys(TARGETS))(
    'When %s is killed, then every return is refunded, once',
    { timeout: 120_000 },
    async (name) => {
      const orderId = await deliveredOrder(4);
      const open = [await requestReturn(orderId, 2), await requestReturn(orderId, 2)];
      for (const one of open) await afterFault(async () => unwrap(await step('approve', one)));
      const received = open.map((one) => step('receive', one));
      const target = TARGETS[name]?.();
      await target?.stop('SIGKILL');
      await Promise.allSettled(received);
      await target?.start();
      for (const one of open) {
        // The first request may have been lost.
        await waitFor('the parcel is received', () => step('receive', one), {
          until: ({ status }) => status === 200 || status === 409,
        });
        await waitForReturn(one, 'REFUNDED');
      }
      const { total } = await getOrder(customer, orderId);
      await waitFor('the order shows both', () => getOrder(customer, orderId), {
        until: ({ refunded }) => refunded === total,
      });
      expect((await getPayment(customer, orderId))?.refunded).toBe(total);
    },
  );
});

it('When the histories of these returns are replayed, then the code follows them', async () => {
  const database = openSqlite(join(dataDir, 'state/returns-workflows.db'), { readOnly: true });
  const rows = database
    .prepare("SELECT key, value FROM state WHERE key LIKE '%||history-%' ORDER BY key")
    .all();
  database.close();
  const histories = new Map<string, string[]>();
  for (const { key, value } of rows as { key: string; value: string }[]) {
    const [id = ''] = key.split('||history-');
    histories.set(id, [...(histories.get(id) ?? []), value]);
  }
  expect(histories.size).toBeGreaterThan(5);
  for (const history of histories.values())
    expect(await replay(RETURN_WORKFLOW, returnWorkflow, history)).toBeUndefined();
});
