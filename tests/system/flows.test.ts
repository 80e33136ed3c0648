import { DaprClient } from '@dapr/dapr';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { unwrap } from '../../services/gateway/client/client.ts';
import { SERVICES } from '../../services/services.ts';
import {
  login,
  registerCustomer,
  getOrder,
  getPayment,
  placeOrder,
  getProduct,
  waitForStatus,
  type Caller,
} from '../support/shop.ts';
import { placeBurst } from '../support/burst.ts';
import { mailsTo } from '../support/mails.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { callSidecar, publishUnprocessable } from '../support/real-sidecar.ts';
import { commandsOf, requestedTwins } from '../support/twins.ts';
import { waitFor } from '../support/wait.ts';
import { waitForEdges } from '../support/zipkin.ts';

let system: RunningSystem;
let customer: Caller;
let admin: Caller;
const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-flows-'));

beforeAll(async () => {
  system = await startSystem({
    dataDir,
    portOffset: PORT_OFFSETS.flows,
    commands: await commandsOf(requestedTwins()),
    env: {
      gateway: NO_RATE_LIMITS,
      orders: { ORDER_WATCHDOG_INTERVAL_MS: '1000' },
      payments: { PAYMENT_TIMEOUT_MS: '1000', SIMULATED_SLOW_CARD_MS: '2500' },
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '1000', SIMULATED_DELIVERY_DELAY_MS: '500' },
    },
  });
  admin = await login(system.urls.api, system.admin.email, system.admin.password);
  customer = await registerCustomer(system.urls.api);
});
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Waits until nothing is reserved, and checks the stock of the product. */
async function waitForNoReservations(productId: string): Promise<void> {
  await waitFor(`nothing of ${productId} is reserved`, () => getProduct(customer, productId), {
    until: (product) => product.reserved === 0 && product.available === product.on_hand,
  });
}

/** The ledger of an order. It is empty if the order ended before the payment. */
const ledgerOf = async (orderId: string) => {
  const params = { order_id: orderId };
  const answer = await admin.call('GET /api/payments/ledger/:order_id', { params });
  return answer.status === 404 ? { captured: 0, refunded: 0 } : unwrap(answer);
};

describe('a successful order', () => {
  it('When it is placed, then it is delivered, paid once, and its stock is sold', async () => {
    const before = await getProduct(customer, 'mug-blue');
    const { orderId } = await placeOrder(customer, { product: 'mug-blue', quantity: 2 });
    const order = await waitForStatus(customer, orderId, 'DELIVERED');
    expect(order).toMatchObject({ version: 5, total: 2 * before.unit_price });
    expect(order.tracking_number).toMatch(/^SC/);
    expect(await getPayment(customer, orderId)).toMatchObject({ status: 'CAPTURED', refunded: 0 });
    expect(await ledgerOf(orderId)).toMatchObject({ captured: order.total, refunded: 0 });
    const after = await getProduct(customer, 'mug-blue');
    expect(after).toMatchObject({ on_hand: before.on_hand - 2, reserved: 0 });
  });

  it('When it is placed, then its trace leads through all services', async () => {
    const { orderId, traceId } = await placeOrder(customer);
    await waitForStatus(customer, orderId, 'DELIVERED');
    const edges = [
      'gateway -> orders',
      'orders -> inventory',
      'inventory -> orders',
      'orders -> payments',
      'payments -> orders',
      'orders -> fulfilment',
      'orders -> notifications',
      'orders -> history',
    ];
    expect([...(await waitForEdges(system.urls.zipkin, traceId, edges))]).toEqual(
      expect.arrayContaining(edges),
    );
  });

  it('When it is shipped, then the customer has the e-mails, each once', async () => {
    const buyer = await registerCustomer(system.urls.api);
    const { orderId } = await placeOrder(buyer);
    const { tracking_number } = await waitForStatus(buyer, orderId, 'DELIVERED');
    const mails = await waitFor('three mails', () => mailsTo(system.urls.mails, buyer.email), {
      until: (found) => found.length >= 3,
    });
    expect(mails.filter((mail) => mail.html.includes(orderId))).toHaveLength(2);
    expect(mails.some((mail) => mail.html.includes(String(tracking_number)))).toBe(true);
    expect(mails.map((mail) => mail.html).join()).not.toContain('<b>Lovelace</b>');
  });

  it('When it has ended, then the read model has it in the list and totals of its customer', async () => {
    const buyer = await registerCustomer(system.urls.api);
    const { orderId } = await placeOrder(buyer);
    const order = await waitForStatus(buyer, orderId, 'DELIVERED');
    const list = await waitFor(
      'the read side has it',
      async () => unwrap(await buyer.call('GET /api/orders', { query: { status: 'DELIVERED' } })),
      { until: ({ items }) => items.length === 1 },
    );
    expect(list.items).toEqual([order]);
    const params = { customer_id: buyer.userId };
    const totals = await buyer.call('GET /api/customers/:customer_id/totals', { params });
    expect(totals.body).toMatchObject({
      orders: 1,
      by_status: { DELIVERED: 1 },
      spent: { EUR: order.total },
    });
  });
});

describe('an order that cannot be paid', () => {
  it.each([
    ['tok_chargeDeclined', /declined/],
    ['tok_chargeDeclinedInsufficientFunds', /insufficient/],
  ])('When the card is %s, then the order fails and the stock is free again', async (card, reason) => {
    const { orderId } = await placeOrder(customer, { product: 'tea-green', card });
    const order = await waitForStatus(customer, orderId, 'PAYMENT_FAILED');
    expect(order.reason).toMatch(reason);
    await waitForNoReservations('tea-green');
  });

  it.each(['tok_slow', 'tok_flaky'])(
    'When the card is %s, then the order is paid in the end, once',
    async (card) => {
      const { orderId } = await placeOrder(customer, { card });
      const { total } = await waitForStatus(customer, orderId, 'DELIVERED', 30_000);
      expect(await ledgerOf(orderId)).toMatchObject({ captured: total, refunded: 0 });
    },
  );

  it('When the provider charges but never responds, then the charge is reversed', async () => {
    const { orderId } = await placeOrder(customer, { product: 'tea-green', card: 'tok_timeout' });
    const { total } = await waitForStatus(customer, orderId, 'PAYMENT_FAILED', 45_000);
    expect(await ledgerOf(orderId)).toMatchObject({ captured: total, refunded: total });
    expect(await getPayment(customer, orderId)).toMatchObject({ status: 'REFUNDED', refunded: total });
    await waitForNoReservations('tea-green');
  });
});

describe('an order without enough stock', () => {
  it('When there is too little, then the order is rejected and not paid', async () => {
    const { available } = await getProduct(customer, 'tea-green');
    const { orderId } = await placeOrder(customer, { product: 'tea-green', quantity: available + 1 });
    expect((await waitForStatus(customer, orderId, 'REJECTED')).reason).toContain('tea-green');
    expect(await getPayment(customer, orderId)).toBeUndefined();
  });

  it('When many order the last pieces, then no more are sold than exist', async () => {
    const productId = `last-${randomUUID().slice(0, 8)}`;
    const params = { product_id: productId };
    await admin.call('PUT /api/inventory/:product_id', {
      params,
      body: { name: 'The last ones', unit_price: 700 },
    });
    await admin.call('POST /api/inventory/:product_id/restock', { params, body: { quantity: 5 } });
    const orders = await Promise.all(
      Array.from({ length: 12 }, () => placeOrder(customer, { product: productId })),
    );
    const ended = await Promise.all(
      orders.map(({ orderId }) =>
        waitFor('the order ends', () => getOrder(customer, orderId), {
          until: ({ status }) => status === 'DELIVERED' || status === 'REJECTED',
        }),
      ),
    );
    expect(ended.filter(({ status }) => status === 'DELIVERED')).toHaveLength(5);
    expect(await getProduct(customer, productId)).toMatchObject({ on_hand: 0, reserved: 0, available: 0 });
  });
});

describe('an order that is cancelled', () => {
  const cancel = (orderId: string) =>
    customer.call('POST /api/orders/:id/cancel', { params: { id: orderId } });

  it('When it is paid but not dispatched, then money and stock are returned', async () => {
    const before = await getProduct(customer, 'mug-blue');
    const { orderId } = await placeOrder(customer);
    await waitForStatus(customer, orderId, 'PAID');
    expect((await cancel(orderId)).body).toMatchObject({ status: 'CANCELLED' });
    await waitFor('it is refunded', () => ledgerOf(orderId), {
      until: ({ captured, refunded }) => captured === refunded,
    });
    await waitFor('it is restocked', () => getProduct(customer, 'mug-blue'), {
      until: (product) => product.available === before.available,
    });
  });

  it('When it races the payment, then it ends in one state and the money matches it', async () => {
    const placed = await Promise.all(Array.from({ length: 10 }, () => placeOrder(customer)));
    await Promise.all(placed.map(({ orderId }) => cancel(orderId)));
    for (const { orderId } of placed) {
      const order = await waitForStatus(customer, orderId, 'CANCELLED');
      await waitFor('nothing is kept', () => ledgerOf(orderId), {
        until: ({ captured, refunded }) => captured === refunded,
      });
      expect(order.version).toBeLessThanOrEqual(4);
    }
    await waitForNoReservations('mug-blue');
  });

  it('When it has been dispatched, then it is too late', async () => {
    const { orderId } = await placeOrder(customer);
    await waitForStatus(customer, orderId, 'DELIVERED');
    expect((await cancel(orderId)).status).toBe(409);
  });
});

describe('an account that is deleted', () => {
  it('When its customer gave a reason for a cancellation, then the reason is erased everywhere', async () => {
    const buyer = await registerCustomer(system.urls.api);
    const { orderId } = await placeOrder(buyer);
    const reason = `marked-${randomUUID()}`;
    await waitForStatus(buyer, orderId, 'PAID');
    unwrap(await buyer.call('POST /api/orders/:id/cancel', { params: { id: orderId }, body: { reason } }));
    await buyer.call('DELETE /api/users/:id', { params: { id: buyer.userId } });
    const shown = async () => {
      const list = await admin.call('GET /api/admin/orders', { query: { customer_id: buyer.userId } });
      const events = await admin.call('GET /api/orders/:id/events', { params: { id: orderId } });
      return JSON.stringify([unwrap(list), unwrap(events), await getOrder(admin, orderId)]);
    };
    const text = await waitFor('it is erased', shown, {
      until: (found) => !found.includes(reason),
      timeoutMs: 30_000,
    });
    expect(text).toContain('CANCELLED');
  });
});

describe('a refund by an administrator', () => {
  const refund = (orderId: string) =>
    admin.call('POST /api/payments/:order_id/refund', { params: { order_id: orderId } });

  it('When the order is not shipped yet, then 409 says to cancel it, and the order continues', async () => {
    const { orderId } = await placeOrder(customer);
    await waitForStatus(customer, orderId, 'PAID');
    const answer = await refund(orderId);
    expect(answer).toMatchObject({ ok: false, status: 409 });
    expect(JSON.stringify(answer.body)).toContain('urn:sidecart:problem:order-not-delivered');
    await waitForStatus(customer, orderId, 'DELIVERED');
    expect(await getPayment(customer, orderId)).toMatchObject({ status: 'CAPTURED', refunded: 0 });
  });

  it('When the order is delivered, then the order, the list, the totals and an e-mail show it', async () => {
    const buyer = await registerCustomer(system.urls.api);
    const { orderId } = await placeOrder(buyer);
    const { total } = await waitForStatus(buyer, orderId, 'DELIVERED');
    expect((await refund(orderId)).status).toBe(200);
    const order = await waitFor('the order shows it', () => getOrder(buyer, orderId), {
      until: ({ refunded }) => refunded === total,
    });
    expect(order).toMatchObject({ status: 'DELIVERED', version: 6 });
    const params = { customer_id: buyer.userId };
    await waitFor(
      'the totals are without it',
      async () => unwrap(await buyer.call('GET /api/customers/:customer_id/totals', { params })),
      { until: ({ spent, by_status }) => by_status.DELIVERED === 1 && spent['EUR'] === undefined },
    );
    expect(unwrap(await buyer.call('GET /api/orders')).items).toEqual([order]);
    await waitFor('an e-mail is sent', () => mailsTo(system.urls.mails, buyer.email), {
      until: (mails) => mails.some(({ subject }) => subject === 'Your order is refunded'),
    });
    expect(await ledgerOf(orderId)).toMatchObject({ captured: total, refunded: total });
  });
});

describe('an unprocessable message', () => {
  it('When it is dropped, then an administrator finds it and can redrive it', async () => {
    const id = randomUUID();
    const published = await publishUnprocessable(system.app('payments'), id);
    expect(published.status).toBe(204);
    const list = () => admin.call('GET /api/admin/dead-letters');
    const deadLetters = async () => unwrap(await list()).items.find((letter) => letter.event_id === id);
    const letter = await waitFor('it is parked', deadLetters, { until: (found) => found !== undefined });
    expect(letter).toMatchObject({ type: 'payment.failed', redriven: 0 });
    const params = { id: letter?.dead_letter_id ?? '' };
    const redriven = await admin.call('POST /api/admin/dead-letters/:id/redrive', { params });
    expect(redriven.status).toBe(202);
    await waitFor('it is counted', deadLetters, { until: (found) => found?.redriven === 1 });
    expect((await customer.call('GET /api/admin/dead-letters')).status).toBe(403);
  });
});

describe('a raw payload', () => {
  it.each([
    ['JSON', 'application/json', (id: string) => JSON.stringify({ order_id: id, payment_id: id })],
    ['text', 'text/plain', (id: string) => `paid: ${id}`],
  ])(
    'When %s is published against the contract, then it becomes a dead letter and nothing is paid',
    async (_, type, write) => {
      const payload = write(randomUUID());
      const path = '/v1.0/publish/pubsub/payment.processed?metadata.rawPayload=true';
      const published = await callSidecar(system.app('payments'), path, {
        method: 'POST',
        headers: { 'content-type': type },
        body: payload,
      });
      expect(published.status).toBe(204);
      const list = () => admin.call('GET /api/admin/dead-letters');
      const isDeadLetter = ({ event }: { event?: unknown }) =>
        event === payload || JSON.stringify(event) === payload;
      await waitFor('it is parked', list, {
        until: (answer) => answer.ok && answer.body.items.some(isDeadLetter),
      });
    },
  );
});

describe('the gateway', () => {
  it('When /health is called, then it has every service', async () => {
    const health = unwrap(await customer.call('GET /health'));
    const names = SERVICES.map(({ name }) => name).filter((name) => name !== 'gateway');
    expect(Object.keys(health.services).toSorted()).toEqual(names.toSorted());
  });

  it('When requests with one Idempotency-Key come at once, then there is one order', async () => {
    const request = {
      body: { product_id: 'mug-blue', quantity: 1 },
      headers: { 'idempotency-key': randomUUID() },
    };
    const place = () => customer.call('POST /api/orders', request);
    const answers = await Promise.all(Array.from({ length: 5 }, place));
    expect(answers.filter(({ ok }) => !ok).map(({ status }) => status)).toEqual(
      answers.filter(({ ok }) => !ok).map(() => 409),
    );
    const accepted = [...answers.filter(({ ok }) => ok), await place()].map(
      (answer) => unwrap(answer).order_id,
    );
    expect(accepted.length).toBeGreaterThan(1);
    expect(new Set(accepted).size).toBe(1);
  });

  it('When a caller sends identity headers, then the gateway ignores them', async () => {
    const { orderId } = await placeOrder(customer);
    const other = await registerCustomer(system.urls.api);
    const headers = { 'x-caller-id': customer.userId, 'x-caller-role': 'admin' };
    const answer = await other.call('GET /api/orders/:id', { params: { id: orderId }, headers });
    expect(answer.status).toBe(404);
  });

  it('When a service is called without its sidecar, then it rejects the call', async () => {
    const response = await fetch(
      `http://127.0.0.1:${system.app('orders').appPort}/api/orders/${randomUUID()}`,
    );
    expect(response.status).toBe(401);
  });
});

describe('the sidecars, by the Dapr client', () => {
  const clientOf = (id: string) => {
    const { daprHttpPort, daprApiToken } = system.app(id);
    return new DaprClient({
      daprHost: '127.0.0.1',
      daprPort: String(daprHttpPort),
      daprApiToken: daprApiToken(),
    });
  };

  it.each([
    ['orders', ['broadcast', 'pubsub', 'settings', 'statestore']],
    [
      'notifications',
      [
        'email',
        'email-2',
        'email-3',
        'email-4',
        'email-5',
        'email-6',
        'email-7',
        'email-8',
        'pubsub',
        'secretstore',
        'settings',
        'statestore',
      ],
    ],
    ['gateway', ['broadcast', 'settings']],
  ])('When %s lists its components, then it has exactly those of its scopes', async (id, components) => {
    const metadata: { components?: { name: string }[] } = await clientOf(id).metadata.get();
    expect((metadata.components ?? []).map(({ name }) => name).toSorted()).toEqual(components);
  });

  it('When a service publishes a foreign event, then its sidecar rejects it', async () => {
    const published = await clientOf('inventory').pubsub.publish('pubsub', 'order.paid', { order_id: 'x' });
    expect(published.error).toBeDefined();
  });

  it('When a service reads the state of another one, then it finds nothing', async () => {
    const { orderId } = await placeOrder(customer);
    const mine = await clientOf('orders').state.get('statestore', `order:${orderId}`);
    const theirs = await clientOf('payments').state.get('statestore', `order:${orderId}`);
    expect(mine).toMatchObject({ order_id: orderId });
    expect(theirs).toBeFalsy();
  });
});

describe('a rush of orders', () => {
  it('When a hundred clients place 300 orders, then each gets an answer, and every accepted one is delivered', async () => {
    const params = { product_id: 'mug-blue' };
    await admin.call('POST /api/inventory/:product_id/restock', { params, body: { quantity: 300 } });
    const { accepted, shed } = await placeBurst(system, {
      clients: 100,
      orders: 300,
      product: () => 'mug-blue',
    });
    expect(accepted + shed).toBe(300);
    expect(accepted).toBeGreaterThan(0);
  });
});
