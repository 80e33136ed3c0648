import { Router } from 'express';
import { createHash, randomUUID } from 'node:crypto';
import type { Response } from 'supertest';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp as inventoryApp } from '../../services/inventory/app.ts';
import { createApp as ordersApp } from '../../services/orders/app.ts';
import { createIdempotency, type Reply } from '../../services/shared/http/idempotency.ts';
import { notFound, ProblemError } from '../../services/shared/http/problem.ts';
import { createService } from '../../services/shared/runtime/service-app.ts';
import {
  slugOf,
  asCaller,
  fromNetwork,
  startService,
  type ServiceUnderTest,
} from '../support/service-under-test.ts';

const CALLER = asCaller(randomUUID());
const ADMIN = asCaller(randomUUID(), 'admin');
const KEY = { 'idempotency-key': 'key-1' };
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

let service: ServiceUnderTest;
afterEach(() => service.stop());

const isReplayed = ({ headers }: Response) => headers['idempotent-replayed'] === 'true';
const records = () => [...service.sidecar.documents].filter(([key]) => key.startsWith('idempotency:'));

/** Makes storing responses fail, as if the service died after its work. */
const failToStore = () =>
  service.sidecar.onStateCall(({ op, keys }) => {
    if (op === 'write' && keys.some((key) => key.startsWith('idempotency:'))) throw new Error('not kept');
  });

/** Holds the next two requests until both have found no stored response. */
function readConcurrently(): void {
  const barrier = gate();
  let arrived = 0;
  service.sidecar.onStateCall(async ({ op, keys }) => {
    if (op === 'write' || !keys.some((key) => key.startsWith('idempotency:')) || arrived === 2) return;
    arrived += 1;
    if (arrived === 2) barrier.open();
    await barrier.opened;
  });
}

function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => void (open = resolve));
  return { opened, open: () => open() };
}

describe('a service that creates things', () => {
  let made: { operation: string; hasIdempotencyKey: boolean }[];
  /** Runs when a thing is created. */
  let make: () => Promise<Reply>;

  beforeEach(async () => {
    made = [];
    make = () => {
      const headers = { location: `/things/${made.length}` };
      return Promise.resolve({ status: 201, headers, body: { number: made.length } });
    };
    service = await startService((deps) => {
      const withIdempotency = createIdempotency({ state: deps.sidecar.state, log: deps.log });
      const router = Router();
      for (const what of ['things', 'people'])
        router.post(`/${what}{/:id}`, (req, res) =>
          withIdempotency(
            req,
            res,
            { name: what, request: { id: req.params['id'], ...req.body } },
            (operation, hasIdempotencyKey) => {
              made.push({ operation, hasIdempotencyKey });
              return make();
            },
          ),
        );
      return createService(deps, { routers: [router] });
    });
  });

  const post = (headers: Record<string, string> = {}, body: object = { size: 1 }, path = '/things') =>
    service.http
      .post(path)
      .set({ ...CALLER, ...headers })
      .send(body);

  it('When the request is repeated, then status, body and location are those of the first response', async () => {
    const [first, second] = [await post(KEY), await post(KEY)];
    expect([first.status, first.headers['location'], first.body]).toEqual([201, '/things/1', { number: 1 }]);
    expect([second.status, second.headers['location'], second.body]).toEqual([
      201,
      '/things/1',
      { number: 1 },
    ]);
    expect([isReplayed(first), isReplayed(second)]).toEqual([false, true]);
    expect(made).toHaveLength(1);
  });

  it('When the response has no body, then the replayed one has none', async () => {
    make = () => Promise.resolve({ status: 204 });
    const [first, second] = [await post(KEY), await post(KEY)];
    expect([first.status, second.status, second.text, isReplayed(second)]).toEqual([204, 204, '', true]);
  });

  it('When the service was restarted, then the response is still the same', async () => {
    await post(KEY);
    const second = await service.createReplica().post('/things').set(CALLER).set(KEY).send({ size: 1 });
    expect([second.status, second.body, isReplayed(second)]).toEqual([201, { number: 1 }, true]);
  });

  it.each([
    ['another body', '/things', { size: 2 }],
    ['another thing', '/things/7', { size: 1 }],
  ])('When the key comes with %s, then it is rejected and nothing is created', async (_what, path, body) => {
    await post(KEY);
    const second = await post(KEY, body, path);
    expect([second.status, slugOf(second), isReplayed(second)]).toEqual([
      422,
      'idempotency-key-reused',
      false,
    ]);
    expect(made).toHaveLength(1);
  });

  it.each([
    ['another caller', asCaller(randomUUID()), '/things'],
    ['another kind of work', {}, '/people'],
    ['another key', { 'idempotency-key': 'key-2' }, '/things'],
  ])('When it is %s, then it is another operation', async (_what, headers, path) => {
    await post(KEY);
    const second = await post({ ...KEY, ...headers }, { size: 1 }, path);
    expect([second.status, second.body, isReplayed(second)]).toEqual([201, { number: 2 }, false]);
    expect(new Set(made.map(({ operation }) => operation)).size).toBe(2);
  });

  it('When there is no caller, then the key belongs to anonymous requests', async () => {
    const postAnonymously = () => service.http.post('/things').set(KEY).send({ size: 1 });
    await post(KEY);
    const [first, second] = [await postAnonymously(), await postAnonymously()];
    expect([first.body, second.body, isReplayed(second)]).toEqual([{ number: 2 }, { number: 2 }, true]);
  });

  it('When there is no caller, then the key belongs to the network of the client', async () => {
    const postAnonymously = (network: string, size = 1) =>
      service.http
        .post('/things')
        .set({ ...KEY, ...fromNetwork(network) })
        .send({ size });
    const [first, elsewhere, repeated] = [
      await postAnonymously('192.0.2.1'),
      await postAnonymously('198.51.100.7', 2),
      await postAnonymously('192.0.2.1'),
    ];
    expect([first.body, elsewhere.body, repeated.body]).toEqual([
      { number: 1 },
      { number: 2 },
      { number: 1 },
    ]);
    const another = await postAnonymously('192.0.2.1', 2);
    expect([another.status, slugOf(another)]).toEqual([422, 'idempotency-key-reused']);
    expect((another.body as { detail: string }).detail).toContain('Use a new key');
    expect(JSON.stringify([...service.sidecar.documents])).not.toContain('192.0.2.1');
  });

  it('When there is a caller, then the network does not matter', async () => {
    await post({ ...KEY, ...fromNetwork('192.0.2.1') });
    expect(isReplayed(await post({ ...KEY, ...fromNetwork('198.51.100.7') }))).toBe(true);
  });

  it('When the fields of the body have another order, at any depth, then it is the same request', async () => {
    await post(KEY, { size: 1, parts: [{ name: 'a', colour: 'red' }] });
    const repeated = await post(KEY, { parts: [{ colour: 'red', name: 'a' }], size: 1 });
    expect([repeated.status, isReplayed(repeated)]).toEqual([201, true]);
  });

  it('When a list has another order, then it is another request', async () => {
    await post(KEY, { parts: [1, 2] });
    expect((await post(KEY, { parts: [2, 1] })).status).toBe(422);
  });

  it('When a day has passed, then the key can be used again', async () => {
    await post(KEY);
    service.sidecar.now = () => Date.now() + DAY_MS;
    const later = await post(KEY, { size: 2 });
    expect([later.status, later.body, isReplayed(later)]).toEqual([201, { number: 2 }, false]);
  });

  it('When there is no key, then each request is processed, and nothing is stored', async () => {
    await post();
    await post();
    expect(made.map(({ hasIdempotencyKey }) => hasIdempotencyKey)).toEqual([false, false]);
    expect(made[0]?.operation).not.toBe(made[1]?.operation);
    expect(records()).toEqual([]);
  });

  it('When the first request is in progress, then the second one has to retry, and the third gets the response', async () => {
    const [startedReplicas, end] = [gate(), gate()];
    make = async () => {
      startedReplicas.open();
      await end.opened;
      return { status: 201, body: { number: 1 } };
    };
    const first = post(KEY).then((response) => response);
    await startedReplicas.opened;
    const second = await post(KEY);
    expect([second.status, slugOf(second), second.headers['retry-after']]).toEqual([
      409,
      'idempotency-key-in-use',
      '1',
    ]);
    end.open();
    expect((await first).status).toBe(201);
    const third = await post(KEY);
    expect([third.status, isReplayed(third)]).toEqual([201, true]);
  });

  it.each([
    ['is rejected', () => new ProblemError(409, 'not-now', 'Not now.'), 409],
    ['finds nothing', () => notFound('thing'), 404],
    ['breaks', () => new Error('broken'), 500],
  ])('When the first request %s, then the key can be tried again', async (_what, error, status) => {
    const works = make;
    make = () => Promise.reject(error());
    expect((await post(KEY)).status).toBe(status);
    expect(records()).toEqual([]);
    make = works;
    const second = await post(KEY);
    expect([second.status, isReplayed(second)]).toEqual([201, false]);
    expect(made[0]?.operation).toBe(made[1]?.operation);
  });

  it('When the outcome of the first request is unknown, then the second one is not processed', async () => {
    service.sidecar.fail('state');
    expect((await post(KEY)).status).toBe(503);
    expect(made).toEqual([]);
    expect((await post(KEY)).status).toBe(201);
  });

  it('When the response cannot be stored, then it is still sent, and the failure is logged', async () => {
    failToStore();
    expect((await post(KEY)).status).toBe(201);
    expect(service.logs.map(({ msg }) => msg)).toContain('storing the idempotent response failed');
  });

  it.each([
    ['is empty', ''],
    ['is an empty quoted string', '""'],
    ['has a blank in it', 'a b'],
    ['comes twice', 'a, b'],
    ['is not ASCII', 'schlüssel'],
    ['is too long', 'x'.repeat(256)],
  ])('When the key %s, then it is rejected and nothing is created', async (_what, key) => {
    const response = await post({ 'idempotency-key': key });
    expect([response.status, slugOf(response)]).toEqual([400, 'invalid-idempotency-key']);
    expect(made).toEqual([]);
  });

  it.each(['x', 'x'.repeat(255), 'a:b|c"\\', '/../'])(
    'When the key is %s, then it is accepted',
    async (key) => {
      const header = { 'idempotency-key': key };
      const [first, second] = [await post(header), await post(header)];
      expect([first.status, second.status, isReplayed(second)]).toEqual([201, 201, true]);
    },
  );

  it('When the key is quoted, then it equals the bare key', async () => {
    await post({ 'idempotency-key': '"key-1"' });
    expect(isReplayed(await post(KEY))).toBe(true);
    expect(made).toHaveLength(1);
  });

  it('When a response is stored, then it expires after a day', async () => {
    await post(KEY);
    expect(records().map(([, { ttlSeconds }]) => ttlSeconds)).toEqual([86_400]);
  });

  it('When a response is stored, then it reveals neither the request nor the key', async () => {
    const body = { password: 'correct horse' };
    await post(KEY, body);
    await post({ 'idempotency-key': 'key-2' }, body);
    const stored = records().map(([, { value }]) => value as { fingerprint: string });
    expect(JSON.stringify(records())).not.toMatch(/correct horse|key-1/);
    // A fingerprint depends on the key, so it cannot be guessed from the request alone.
    expect(new Set(stored.map(({ fingerprint }) => fingerprint)).size).toBe(2);
    const guesses = [JSON.stringify(body), JSON.stringify(['POST', '/things', body])];
    const plain = new Set(guesses.map((text) => createHash('sha256').update(text).digest('base64url')));
    expect(stored.filter(({ fingerprint }) => plain.has(fingerprint))).toEqual([]);
  });
});

describe('placing an order', () => {
  const MUG = { product_id: 'mug', name: 'Mug', currency: 'EUR', on_hand: 9, reserved: 0, available: 9 };
  let unit_price: number;
  /** By how much the clock of each replica is fast, in the order of their start. */
  let aheadMs: number[];
  let replicas: number;

  beforeEach(async () => {
    unit_price = 1250;
    aheadMs = [0, 0];
    replicas = 0;
    service = await startService((deps) => {
      const replica = replicas++;
      const now = () => new Date(Date.now() + (aheadMs[replica] ?? 0));
      return ordersApp({ ...deps, watchdogIntervalMs: 1_000, paymentDeadlineMs: 60_000, now });
    });
    service.sidecar.answer('inventory', () => ({
      status: 200,
      body: { items: [{ ...MUG, unit_price }] },
    }));
  });

  const place = (http = service.http, quantity = 2) =>
    http.post('/api/orders').set(CALLER).set(KEY).send({ product_id: 'mug', quantity });
  const orderIdOf = ({ body }: Response) => (body as { order_id: string }).order_id;
  const ordersOf = () => [...service.sidecar.documents.keys()].filter((key) => key.startsWith('order:'));

  it('When the response was lost with its replica, then another one sends it, and there is one order', async () => {
    failToStore();
    const first = await place();
    service.sidecar.onStateCall(() => {});
    unit_price = 9999;
    const second = await place(service.createReplica());
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body).toEqual(first.body);
    expect(second.headers['location']).toBe(first.headers['location']);
    expect(ordersOf()).toHaveLength(1);
    expect(isReplayed(await place())).toBe(true);
  });

  it('When the response was lost and the key comes with another request, then it is rejected', async () => {
    failToStore();
    await place();
    const second = await place(service.createReplica(), 3);
    expect([second.status, slugOf(second)]).toEqual([422, 'idempotency-key-reused']);
    expect(ordersOf()).toHaveLength(1);
  });

  it('When two replicas get the request at once, then there is one order and one response', async () => {
    readConcurrently();
    const answers = await Promise.all([place(), place(service.createReplica())]);
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect(answers[0].body).toEqual(answers[1].body);
    expect(answers.filter(isReplayed)).toHaveLength(1);
    expect(ordersOf()).toHaveLength(1);
    expect(service.publishedEvents('order.created')).toHaveLength(1);
  });

  it('When it was rejected for its price, then the same request can be tried again with the key', async () => {
    unit_price = 1;
    const order = () =>
      service.http
        .post('/api/orders')
        .set(CALLER)
        .set(KEY)
        .send({ product_id: 'mug', quantity: 1, amount: 1250 });
    expect((await order()).status).toBe(409);
    unit_price = 1250;
    expect((await order()).status).toBe(201);
  });

  it('When the fields of the request have another order, then it is the same order', async () => {
    const order = (text: string) =>
      service.http
        .post('/api/orders')
        .set(CALLER)
        .set(KEY)
        .set('content-type', 'application/json')
        .send(text);
    const first = await order(
      '{"items": [{"product_id": "mug", "quantity": 2}], "payment": {"method": "card", "card_token": "tok_visa"}}',
    );
    const second = await order(
      '{"payment":{"card_token":"tok_visa","method":"card"},"items":[{"quantity":2,"product_id":"mug"}]}',
    );
    expect([first.status, second.status, second.body]).toEqual([201, 201, first.body]);
    expect(ordersOf()).toHaveLength(1);
  });

  it('When a day has passed, then the key can be used for another request, and again a day later', async () => {
    const ids = new Set<string>();
    for (const [day, quantity] of [1, 2, 3].entries()) {
      aheadMs[0] = day * DAY_MS;
      const [first, second] = [await place(service.http, quantity), await place(service.http, quantity)];
      expect([first.status, isReplayed(first), isReplayed(second)]).toEqual([201, false, true]);
      expect(second.body).toEqual(first.body);
      ids.add(orderIdOf(first));
      expect((await place(service.http, 9)).status).toBe(422);
    }
    expect(ids.size).toBe(3);
    expect(ordersOf()).toHaveLength(3);
  });

  it('When an expired key comes to two replicas at once, then there is one order', async () => {
    await place();
    aheadMs = [DAY_MS, DAY_MS];
    const answers = await Promise.all([place(), place(service.createReplica())]);
    expect(new Set(answers.map(orderIdOf)).size).toBe(1);
    expect(answers.filter(isReplayed)).toHaveLength(1);
    expect(ordersOf()).toHaveLength(2);
  });

  it.each([
    ['ahead', HOUR_MS],
    ['behind', -HOUR_MS],
  ])(
    'When the clock of the second replica is an hour %s, then a repeated request has the same order',
    async (_, ms) => {
      aheadMs = [0, ms];
      const other = service.createReplica();
      const first = await place();
      for (const passed of [0, 20 * HOUR_MS]) {
        aheadMs = [passed, passed + ms];
        expect((await place(other)).body).toEqual(first.body);
      }
      expect(ordersOf()).toHaveLength(1);
    },
  );

  it.each([
    ['ahead', HOUR_MS],
    ['behind', -HOUR_MS],
  ])(
    'When the clock of the second replica is an hour %s, then both have the order that one of them accepts after a day',
    async (_, ms) => {
      aheadMs = [0, ms];
      const other = service.createReplica();
      await place();
      const passed = DAY_MS - Math.max(0, ms);
      aheadMs = [passed, passed + ms];
      const [early, late] = ms > 0 ? [other, service.http] : [service.http, other];
      const next = await place(early, 7);
      expect([next.status, isReplayed(next)]).toEqual([201, false]);
      const repeated = await place(late, 7);
      expect([repeated.body, isReplayed(repeated)]).toEqual([next.body, true]);
      expect(ordersOf()).toHaveLength(2);
    },
  );

  it('When the clock is set back by years, then a repeated request has the same order', async () => {
    const first = await place();
    aheadMs = [-1000 * DAY_MS];
    expect((await place()).body).toEqual(first.body);
  });

  it('When its cancellation is repeated, then the first response is replayed', async () => {
    const { order_id } = (await place()).body as { order_id: string };
    const cancel = () =>
      service.http.post(`/api/orders/${order_id}/cancel`).set(CALLER).set(KEY).send({ reason: 'changed' });
    const [first, second] = [await cancel(), await cancel()];
    expect([second.status, second.body, isReplayed(second)]).toEqual([200, first.body, true]);
    expect(service.publishedEvents('order.cancelled')).toHaveLength(1);
  });
});

describe('restocking a product', () => {
  const entry = { name: 'Mug', unit_price: 1250, currency: 'EUR', on_hand: 10, low_stock_threshold: 1 };
  const catalogue = ['mug', 'pen'].map((product_id) => ({ product_id, ...entry }));

  beforeEach(async () => {
    service = await startService((deps) => inventoryApp({ ...deps, catalogue }));
    await vi.waitFor(() => service.http.get('/readyz').expect(200), { interval: 5 });
  });

  const restock = (http = service.http, product = 'mug', quantity = 5) =>
    http.post(`/api/inventory/${product}/restock`).set(ADMIN).set(KEY).send({ quantity });
  const stocked = (product = 'mug') =>
    (service.sidecar.documents.get(`product:${product}`)!.value as { on_hand: number }).on_hand;

  it('When it is repeated, then the stock increases once', async () => {
    const [first, second] = [await restock(), await restock()];
    expect([second.status, second.body, isReplayed(second)]).toEqual([200, first.body, true]);
    expect(stocked()).toBe(15);
  });

  it('When the response was lost with its replica, then another one sends it, and the stock has increased once', async () => {
    failToStore();
    const first = await restock();
    service.sidecar.onStateCall(() => {});
    const second = await restock(service.createReplica());
    expect([second.status, second.body]).toEqual([200, first.body]);
    expect(stocked()).toBe(15);
  });

  it.each([
    ['another quantity', 'mug', 6],
    ['another product', 'pen', 5],
  ])(
    'When the response was lost and the key comes with %s, then it is rejected',
    async (_what, product, n) => {
      failToStore();
      await restock();
      const second = await restock(service.createReplica(), product, n);
      expect([second.status, slugOf(second)]).toEqual([422, 'idempotency-key-reused']);
      expect([stocked('mug'), stocked('pen')]).toEqual([15, 10]);
    },
  );

  it('When the stock could not be saved, then the key can be tried again', async () => {
    service.sidecar.onStateCall(({ op }) => {
      if (op === 'write') throw new Error('not written');
    });
    expect((await restock()).status).toBe(503);
    service.sidecar.onStateCall(() => {});
    expect((await restock()).status).toBe(200);
    expect(stocked()).toBe(15);
  });

  it('When two replicas get it at once, then the stock increases once, and both responses are the same', async () => {
    const other = service.createReplica();
    await vi.waitFor(() => other.get('/readyz').expect(200), { interval: 5 });
    readConcurrently();
    const answers = await Promise.all([restock(), restock(other)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers[0].body).toEqual(answers[1].body);
    expect(answers.filter(isReplayed)).toHaveLength(1);
    expect(stocked()).toBe(15);
  });

  it('When a day has passed, then the same key restocks again', async () => {
    await restock();
    service.sidecar.now = () => Date.now() + DAY_MS;
    expect([(await restock()).status, stocked()]).toEqual([200, 20]);
    service.sidecar.now = () => Date.now() + 2 * DAY_MS;
    expect([(await restock(service.http, 'pen', 1)).status, stocked('pen')]).toEqual([200, 11]);
  });

  it('When it is stored, then it expires with its response', async () => {
    await restock();
    const marker = [...service.sidecar.documents].find(([key]) => key.startsWith('restock:'));
    expect(marker?.[1].ttlSeconds).toBe(records()[0]?.[1].ttlSeconds);
    expect(service.sidecar.documents.get('product:mug')?.ttlSeconds).toBeUndefined();
  });
});
