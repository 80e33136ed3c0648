import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { unwrap, createClient, type Client } from '../../services/gateway/client/client.ts';
import { operationOf, responseKey } from '../../services/shared/http/idempotency.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import {
  login,
  registerCustomer,
  placeOrder,
  getProduct,
  register,
  waitForStatus,
  type Caller,
} from '../support/shop.ts';
import { callSidecar } from '../support/real-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import { TIMED } from '../support/timed.ts';

let system: RunningSystem;
let admin: Caller;
let customer: Caller;
/** The URLs of both replicas of the gateway. */
let apis: [string, string];
const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-edge-'));

beforeAll(async () => {
  system = await startSystem({
    dataDir,
    portOffset: PORT_OFFSETS.edge,
    replicas: { gateway: 2 },
    env: {
      gateway: { RATE_LIMIT_AUTH: '100000', RATE_LIMIT_DEFAULT: '40', TRUSTED_PROXIES: 'loopback' },
      orders: { ORDER_WATCHDOG_INTERVAL_MS: '1000' },
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '1000', SIMULATED_DELIVERY_DELAY_MS: '500' },
    },
  });
  apis = [system.urls.api, `http://127.0.0.1:${system.app('gateway-2').appPort}`];
  admin = await login(apis[0], system.admin.email, system.admin.password);
  customer = await registerCustomer(apis[0]);
});
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** The same caller at the other replica. */
const elsewhere = ({ call }: Caller): Client => createClient(apis[1], call.tokens());
const isRefused = async (call: Client) => (await call('GET /api/inventory')).status === 401;
/** The maximum time until every replica knows that a session has ended. */
const REVOCATION_TIMEOUT_MS = 6_000;

describe('live updates', () => {
  it(
    'When an order changes, then a stream at another replica has every change within a second',
    TIMED,
    async () => {
      const { orderId } = await placeOrder(customer);
      const seen: { type: string; late: number }[] = [];
      for await (const { type, order } of elsewhere(customer).watch(orderId))
        seen.push({ type, late: Date.now() - Date.parse(order.updated_at) });
      expect(seen.map(({ type }) => type)).toEqual([
        'order.created',
        'payment.requested',
        'order.paid',
        'order.shipped',
        'order.delivered',
      ]);
      expect(Math.max(...seen.map(({ late }) => late))).toBeLessThan(1_000);
    },
  );

  it('When a replica is killed, then the client resumes there when it is back', async () => {
    const { orderId } = await placeOrder(customer);
    const replica = system.app('gateway-2');
    const versions: number[] = [];
    for await (const { order } of elsewhere(customer).watch(orderId)) {
      versions.push(order.version);
      if (order.status !== 'PAID') continue;
      await replica.service.stop('SIGKILL');
      await replica.service.start();
    }
    expect(versions).toEqual([1, 2, 3, 4, 5]);
  });
});

describe('sessions', () => {
  it('When a caller logs out at one replica, then all reject the tokens of the session within seconds', async () => {
    const caller = await registerCustomer(apis[0]);
    const other = elsewhere(caller);
    expect(await isRefused(other)).toBe(false);
    const stored = createClient(apis[1], caller.call.tokens());
    expect((await caller.call.logOut()).status).toBe(204);
    await waitFor('the token is rejected', () => isRefused(other), { timeoutMs: REVOCATION_TIMEOUT_MS });
    expect((await stored('POST /api/users/token', { body: refreshOf(stored) })).status).toBe(401);
  });

  it('When an account is deleted, then its token changes nothing at any replica from then on', async () => {
    const caller = await registerCustomer(apis[0]);
    const order = { body: { product_id: 'mug-blue', quantity: 1 } };
    const clients = [
      createClient(apis[0], accessOf(caller.call)),
      createClient(apis[1], accessOf(caller.call)),
    ];
    for (const client of clients) expect((await client('POST /api/orders', order)).status).toBe(201);
    unwrap(await caller.call('DELETE /api/users/:id', { params: { id: caller.userId } }));
    for (const client of clients) expect((await client('POST /api/orders', order)).status).toBe(401);
  });

  it('When a refresh token is used twice, then its session ends everywhere', async () => {
    const caller = await registerCustomer(apis[0]);
    const body = refreshOf(caller.call);
    const renewed = unwrap(await caller.call('POST /api/users/token', { body }));
    const stolen = await createClient(apis[1])('POST /api/users/token', { body });
    expect(stolen.status).toBe(401);
    const holder = createClient(apis[1], { access_token: renewed.access_token });
    await waitFor('the token is rejected', () => isRefused(holder), { timeoutMs: REVOCATION_TIMEOUT_MS });
    const again = await holder('POST /api/users/token', { body: { refresh_token: renewed.refresh_token } });
    expect(again.status).toBe(401);
  });

  it('When the password changes, then the current session continues, and all others end', async () => {
    const credentials = await register(createClient(apis[0]));
    const [here, there] = [
      await login(apis[0], credentials.email, credentials.password),
      await login(apis[1], credentials.email, credentials.password),
    ];
    unwrap(
      await here.call('PUT /api/users/:id', {
        params: { id: here.userId },
        body: { password: 'another horse', current_password: credentials.password },
      }),
    );
    await waitFor(
      'the other token is rejected',
      () => isRefused(createClient(apis[0], accessOf(there.call))),
      {
        timeoutMs: REVOCATION_TIMEOUT_MS,
      },
    );
    expect(await isRefused(createClient(apis[1], accessOf(here.call)))).toBe(false);
  });

  it('When an attacker guesses a password, then the account is throttled, and its owner soon logs in', async () => {
    const { email, password } = await register(createClient(apis[0]));
    const guess = (word: string) =>
      createClient(apis[0])('POST /api/users/login', { body: { email, password: word } });
    for (let count = 0; count < 5; count++) expect((await guess('wrong')).status).toBe(401);
    const refused = await guess(password);
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '1']);
    await waitFor('the owner gets in', async () => (await guess(password)).status, {
      until: (status) => status === 200,
    });
  });
});

const refreshOf = (call: Client) => ({ refresh_token: call.tokens()?.refresh_token ?? '' });
const accessOf = (call: Client) => ({ access_token: call.tokens()?.access_token ?? '' });

describe('rate limits', () => {
  it('When a caller uses both replicas, then they count together', async () => {
    const headers = { 'x-forwarded-for': '192.0.2.1' };
    const ask = (api: string) => createClient(api)('GET /.well-known/jwks.json', { headers });
    const statuses: number[] = [];
    for (let count = 0; count < 42; count++) statuses.push((await ask(apis[count % 2]!)).status);
    // If a window ends meanwhile, a few more fit, but never twice as many.
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(40);
    await waitFor(
      'both replicas reject',
      async () => [(await ask(apis[0])).status, (await ask(apis[1])).status],
      {
        until: (both) => both.every((status) => status === 429),
      },
    );
    const refused = await ask(apis[0]);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    const other = { headers: { 'x-forwarded-for': '192.0.2.2' } };
    expect((await createClient(apis[0])('GET /.well-known/jwks.json', other)).status).toBe(200);
  });
});

describe('idempotency keys', () => {
  const restock = (key: string, quantity: number, productId: string) =>
    admin.call('POST /api/inventory/:product_id/restock', {
      params: { product_id: productId },
      body: { quantity },
      headers: { 'idempotency-key': key },
    });

  it('When a service is killed in between, then the same key has the same response, and nothing is done twice', async () => {
    const [key, body] = [randomUUID(), { product_id: 'mug-white', quantity: 1 }];
    const place = () => customer.call('POST /api/orders', { body, headers: { 'idempotency-key': key } });
    const first = unwrap(await place());
    const stocked = unwrap(await restock(key, 7, 'tea-green'));
    for (const app of [system.app('orders'), system.app('inventory')]) {
      await app.service.stop('SIGKILL');
      await app.service.start();
    }
    const again = await waitFor('orders answers', place, { until: ({ status }) => status !== 503 });
    expect([again.status, again.headers['idempotent-replayed'], again.body]).toEqual([201, 'true', first]);
    const stockedAgain = await waitFor('inventory answers', () => restock(key, 7, 'tea-green'), {
      until: ({ status }) => status !== 503,
    });
    expect([stockedAgain.headers['idempotent-replayed'], stockedAgain.body]).toEqual(['true', stocked]);
    expect((await getProduct(customer, 'tea-green')).on_hand).toBe(stocked.on_hand);
    expect((await restock(key, 8, 'tea-green')).status).toBe(422);
  });

  it('When a response is stored, then it expires after a day', async () => {
    const key = randomUUID();
    await restock(key, 1, 'tea-green');
    const record = responseKey(operationOf(admin.userId, 'restock', key));
    const stored = await callSidecar(system.app('inventory'), `/v1.0/state/statestore/${record}`);
    const expires = Date.parse(stored.headers.get('metadata.ttlexpiretime') ?? '');
    expect(Math.abs(expires - Date.now() - 24 * 3_600_000)).toBeLessThan(60_000);
  });
});

describe('an unavailable service', () => {
  it('When its circuit breaker opens, then /health shows it, and orders get 503', async () => {
    const inventory = system.app('inventory');
    await inventory.service.stop('SIGKILL');
    const order = { body: { product_id: 'mug-blue', quantity: 1 } };
    const health = async () =>
      (await createClient(apis[0]).raw('GET', '/health')) as { status: number; body: unknown };
    const rejected = await waitFor(
      'the breaker shows',
      async () => {
        await Promise.all(Array.from({ length: 8 }, () => customer.call('POST /api/orders', order)));
        return health();
      },
      { until: ({ body }) => JSON.stringify(body).includes('open_breakers') },
    );
    expect(rejected.status).toBe(503);
    await inventory.service.start();
    await waitFor('orders are taken again', () => customer.call('POST /api/orders', order), {
      until: ({ ok }) => ok,
    });
    await waitFor('health is good again', health, { until: ({ status }) => status === 200 });
  });
});

describe('large requests', () => {
  it('When target and headers have the maximum size, then they pass the sidecars', async () => {
    const { orderId } = await placeOrder(customer);
    const ask = (header: number, query: number) =>
      customer.call.raw('GET', `/api/orders/${orderId}?x=${'x'.repeat(query)}`, {
        headers: { 'if-none-match': `"${'y'.repeat(header)}"` },
      });
    expect((await ask(14_500, 0)).status).toBe(200);
    expect((await ask(6_500, 8_100)).status).toBe(200);
    expect((await ask(0, 8_300)).status).toBe(414);
    expect((await ask(17_000, 0)).status).toBe(431);
  });
});

describe('conditional requests', () => {
  it('When an order is unchanged, then 304; when it has changed, then the new one', async () => {
    const { orderId } = await placeOrder(customer);
    const read = (tag?: string) =>
      customer.call('GET /api/orders/:id', {
        params: { id: orderId },
        ...(tag ? { headers: { 'if-none-match': tag } } : {}),
      });
    const first = await read();
    const tag = String(first.headers['etag']);
    await waitForStatus(customer, orderId, 'DELIVERED');
    expect(await read(tag)).toMatchObject({ ok: true, body: { status: 'DELIVERED' } });
    expect((await read('"5"')).status).toBe(304);
  });

  it('When two administrators change a product that both have read, then one gets 412', async () => {
    const product_id = `contested-${randomUUID().slice(0, 8)}`;
    const put = (unit_price: number, headers = {}) =>
      admin.call('PUT /api/inventory/:product_id', {
        params: { product_id },
        body: { name: 'A', unit_price },
        headers,
      });
    const made = await put(100);
    expect(made.status).toBe(201);
    const seen = { 'if-match': String(made.headers['etag']) };
    const answers = await Promise.all([put(200, seen), put(300, seen)]);
    expect(answers.map(({ status }) => status)).toEqual(expect.arrayContaining([200, 412]));
    const winner = answers.find(({ ok }) => ok);
    expect(await getProduct(customer, product_id)).toEqual(winner?.body);
  });
});
