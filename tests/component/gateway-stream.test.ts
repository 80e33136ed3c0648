import { randomUUID } from 'node:crypto';
import type { Express } from 'express';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp, type GatewayDeps } from '../../services/gateway/app.ts';
import { createRateLimitStore, type RateLimitStore } from '../../services/gateway/limits/rate-limit-store.ts';
import { createAccessControl, type AccessControl } from '../../services/gateway/auth/access-control.ts';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import type { Order } from '../../services/orders/contract.ts';
import { buildEvent } from '../support/events.ts';
import { stubUsersService, createKey, signToken, type Key } from '../support/access-tokens.ts';
import { gatewayOptions } from '../support/gateway-options.ts';
import { startService, type ServiceUnderTest } from '../support/service-under-test.ts';
import { waitFor } from '../support/wait.ts';

let key: Key;
beforeAll(async () => {
  key = await createKey('one');
});

const ADA = randomUUID();
const ORDER = randomUUID();
const SESSION = randomUUID();
const TYPES = ['order.created', 'payment.requested', 'order.paid', 'order.shipped', 'order.delivered'];

const NO_REPLICA = {
  status: 500,
  headers: { 'content-type': 'application/json' },
  body: { errorCode: 'ERR_DIRECT_INVOKE' },
};

let service: ServiceUnderTest;
let server: Server;
let url: string;
let accessControl: AccessControl;
let gateOptions: () => GatewayDeps;
let stopping: AbortController;
/** The version of the order: the number of TYPES that have happened. */
let version: number;
let ended: unknown[];
/** The lines of the order. */
let items: Order['items'];
/** The response time of the rate limit store, in milliseconds. */
let slowLimit: number;
/** How many calls of orders reach no replica. */
let unreachable: number;

beforeEach(async () => {
  stopping = new AbortController();
  version = 1;
  ended = [];
  slowLimit = 0;
  unreachable = 0;
  items = [];
  let app: Express | undefined;
  service = await startService((deps) => {
    const memory = createRateLimitStore();
    const rateLimitStore: RateLimitStore = {
      ...memory,
      async consume(...args) {
        if (slowLimit > 0) await delay(slowLimit);
        return memory.consume(...args);
      },
    };
    const options = { ...deps, ...gatewayOptions(), rateLimitStore, stopping: stopping.signal };
    gateOptions = () => ({ ...options, metrics: createMetrics() });
    accessControl = createAccessControl(options);
    return (app = createApp(options, accessControl));
  });
  stubUsersService(service.sidecar, { keys: [key], ended: () => ended });
  service.sidecar.answer('orders', ({ path, headers }) => {
    if (unreachable-- > 0) return NO_REPLICA;
    const after = Number(/\/changes\?after=(\d+)$/.exec(path)?.[1]);
    if (!path.startsWith(`/orders/${ORDER}/`) || headers['x-caller-id'] !== ADA) return { status: 404 };
    if (after > version) return { status: 400 };
    const changes = TYPES.slice(after, version).map((type, index) => ({
      type,
      order: orderAt(after + index + 1),
    }));
    return { status: 200, body: { items: changes, ended: version === TYPES.length } };
  });
  server = createServer(app);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/orders/${ORDER}/stream`;
});
afterEach(async () => {
  stopping.abort();
  server.closeAllConnections();
  server.close();
  await service.stop();
});

function orderAt(at: number): Order {
  return {
    order_id: ORDER,
    customer_id: ADA,
    status: (['PENDING', 'RESERVED', 'PAID', 'SHIPPED', 'DELIVERED'] as const)[at - 1]!,
    items,
    total: 100,
    currency: 'EUR',
    version: at,
    created_at: '2026-01-01T00:00:00Z',
    updated_at: '2026-01-01T00:00:00Z',
  };
}

/** The maximum of lines, with product names of this length. */
const itemsOf = (length: number): Order['items'] =>
  Array.from({ length: 50 }, (_, number) => ({
    product_id: `product-${number}`,
    name: 'n'.repeat(length),
    quantity: 1,
    unit_price: 100,
  }));

/** Changes the order and delivers the broadcast. */
async function moveTo(next: number, announcedVersion = next): Promise<void> {
  version = next;
  expect(
    await service.deliver('orders.changed', { changed: [{ order_id: ORDER, version: announcedVersion }] }),
  ).toBe('SUCCESS');
}

interface Watching {
  status: number;
  headers: Headers;
  /** The text received so far. */
  text: () => string;
  ids: () => number[];
  hasEnded: () => boolean;
  leave: () => void;
}

async function watch(headers: Record<string, string> = {}, sub = ADA): Promise<Watching> {
  const leaving = new AbortController();
  const token = await signToken(key, { sub, sid: SESSION });
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${token}`, ...headers },
    signal: leaving.signal,
  });
  let text = '';
  let over = false;
  const decoder = new TextDecoder();
  void (async () => {
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk as Uint8Array);
  })()
    .catch(() => {})
    .finally(() => (over = true));
  return {
    status: response.status,
    headers: response.headers,
    text: () => text,
    ids: () => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id)),
    hasEnded: () => over,
    leave: () => leaving.abort(),
  };
}
const waitForIds = (watching: Watching, ids: number[]) =>
  waitFor('the events came', () => watching.ids(), {
    until: (seen) => JSON.stringify(seen) === JSON.stringify(ids),
  });

describe('GET /api/orders/:id/stream', () => {
  it('When an order changes, then each change is an event with its version, its type and the order', async () => {
    const watching = await watch();
    expect([watching.status, watching.headers.get('content-type')]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
    ]);
    expect(watching.headers.get('cache-control')).toBe('no-store, no-transform');
    expect(await waitForIds(watching, [1])).toEqual([1]);
    await moveTo(2);
    expect(await waitForIds(watching, [1, 2])).toEqual([1, 2]);
    expect(watching.text()).toContain(
      `id: 2\nevent: payment.requested\ndata: ${JSON.stringify(orderAt(2))}\n\n`,
    );
  });

  it('When the order ends, then the stream ends, and the client is told not to reconnect', async () => {
    const watching = await watch();
    await moveTo(5);
    expect(await waitForIds(watching, [1, 2, 3, 4, 5])).toEqual([1, 2, 3, 4, 5]);
    await waitFor('the stream ends', () => watching.hasEnded());
    const reconnected = await watch({ 'last-event-id': '5' });
    expect(reconnected.status).toBe(204);
  });

  it('When the id is in capitals, then it is the same order', async () => {
    url = url.replace(ORDER, ORDER.toUpperCase());
    const watching = await watch();
    expect(await waitForIds(watching, [1])).toEqual([1]);
    await moveTo(2);
    expect(await waitForIds(watching, [1, 2])).toEqual([1, 2]);
  });

  it('When a client reconnects with Last-Event-ID, then the stream resumes there', async () => {
    version = 3;
    const watching = await watch({ 'last-event-id': '2' });
    expect(await waitForIds(watching, [3])).toEqual([3]);
  });

  it('When the replay exceeds the socket buffer, then all events and the end arrive', async () => {
    items = itemsOf(200);
    version = 5;
    const watching = await watch();
    expect(await waitForIds(watching, [1, 2, 3, 4, 5])).toEqual([1, 2, 3, 4, 5]);
    await waitFor('the stream ends', () => watching.hasEnded());
    expect(watching.text().endsWith(`data: ${JSON.stringify(orderAt(5))}\n\n`)).toBe(true);
  });

  it('When a client does not read, then it is disconnected in the end', async () => {
    // More than the socket buffers of the kernel.
    items = itemsOf(100_000);
    version = 5;
    const controller = new AbortController();
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(controller.signal);
    const connections = () =>
      new Promise<number>((resolve) => void server.getConnections((_, count) => resolve(count)));
    const token = await signToken(key, { sub: ADA, sid: SESSION });
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
    try {
      socket.write(
        `GET ${new URL(url).pathname} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${token}\r\n\r\n`,
      );
      await vi.waitFor(() => expect(timeout).toHaveBeenCalled(), 10_000);
      expect(await connections()).toBe(1);
      controller.abort();
      await waitFor('it is cut off', connections, { until: (count) => count === 0 });
    } finally {
      timeout.mockRestore();
      socket.destroy();
    }
  });

  it('When a broadcast is repeated, or has an older version, then no event is sent twice', async () => {
    const watching = await watch();
    await moveTo(2);
    await moveTo(2);
    await moveTo(2, 1);
    await moveTo(3);
    expect(await waitForIds(watching, [1, 2, 3])).toEqual([1, 2, 3]);
  });

  it('When a broadcast has a version that does not exist, then the gateway stops asking for it', async () => {
    const watching = await watch();
    expect(await waitForIds(watching, [1])).toEqual([1]);
    await moveTo(1, 99);
    await moveTo(2);
    expect(await waitForIds(watching, [1, 2])).toEqual([1, 2]);
    expect(service.sidecar.calls.filter(({ target }) => target === 'orders').length).toBeLessThan(6);
  });

  it('When no replica of orders is reached, then the load is repeated, at the start and later', async () => {
    unreachable = 2;
    const watching = await watch();
    expect(await waitForIds(watching, [1])).toEqual([1]);
    unreachable = 2;
    await moveTo(2);
    expect(await waitForIds(watching, [1, 2])).toEqual([1, 2]);
  });

  it.each([
    ['the order is not the caller’s', {}, randomUUID(), 404],
    ['the last id is none', { 'last-event-id': 'x' }, ADA, 400],
    ['the last id is beyond the order', { 'last-event-id': '2' }, ADA, 400],
    ['the last id is far beyond the order', { 'last-event-id': '999999999' }, ADA, 400],
    ['there is no token', { authorization: '' }, ADA, 401],
  ])('When %s, then the response is a normal problem', async (_, headers, sub, status) => {
    const watching = await watch(headers, sub);
    expect([watching.status, watching.headers.get('content-type')]).toEqual([
      status,
      'application/problem+json; charset=utf-8',
    ]);
  });

  it('When the client disconnects, then no resource remains', async () => {
    const watching = await watch();
    expect(await waitForIds(watching, [1])).toEqual([1]);
    watching.leave();
    expect(service.logs.filter(({ level }) => level === 'error')).toEqual([]);
    const before = service.sidecar.calls.length;
    await waitFor('the gateway has forgotten the stream', async () => {
      const callsBefore = service.sidecar.calls.length;
      await moveTo(version, 50);
      return service.sidecar.calls.length === callsBefore;
    });
    expect(service.sidecar.calls.length - before).toBeLessThan(5);
  });

  it('When clients disconnect before authorization ends, then they take no slot', async () => {
    const { port } = server.address() as AddressInfo;
    const token = await signToken(key, { sub: ADA, sid: SESSION });
    const request = `GET ${new URL(url).pathname} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${token}\r\n\r\n`;
    slowLimit = 20;
    for (let count = 0; count < 120; count++) {
      const socket = connect(port, '127.0.0.1');
      await new Promise<void>((resolve) => void socket.write(request, () => resolve()));
      socket.destroy();
    }
    await waitFor(
      'all connections are closed',
      () => new Promise<number>((resolve) => void server.getConnections((_, count) => resolve(count))),
      { until: (count) => count === 0 },
    );
    slowLimit = 0;
    expect((await watch()).status).toBe(200);
  });

  it('When the method is HEAD, then it succeeds, and no resource remains', async () => {
    const authorization = `Bearer ${await signToken(key, { sub: ADA, sid: SESSION })}`;
    const response = await fetch(url, { method: 'HEAD', headers: { authorization } });
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
    ]);
    const before = service.sidecar.calls.length;
    await moveTo(3);
    expect(service.sidecar.calls.length).toBe(before);
  });

  it('When the service stops, then the stream ends in time', async () => {
    const watching = await watch();
    expect(await waitForIds(watching, [1])).toEqual([1]);
    stopping.abort();
    await waitFor('the stream ends', () => watching.hasEnded());
  });

  it('When a caller has a hundred streams open, then the next one is rejected', async () => {
    const open = await Promise.all(Array.from({ length: 100 }, () => watch()));
    expect(new Set(open.map(({ status }) => status))).toEqual(new Set([200]));
    expect((await watch()).status).toBe(429);
    open[0]!.leave();
    await waitFor('there is room', async () => (await watch()).status, { until: (status) => status === 200 });
  });
});

describe('a stream that stays open', () => {
  it('When nothing happens, then heartbeats are sent; when the session ends, then the stream ends', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const options = { ...gateOptions(), stopping: stopping.signal };
      const watcher = createApp(options, createAccessControl(options));
      const other = createServer(watcher);
      await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve));
      url = url.replace(/:\d+\//, `:${(other.address() as AddressInfo).port}/`);
      const watching = await watch();
      expect(await waitForIds(watching, [1])).toEqual([1]);
      vi.advanceTimersByTime(15_000);
      await waitFor('a heartbeat came', () => watching.text().endsWith('\n\n:\n\n'));
      ended = [{ session_id: SESSION }];
      await waitFor('the stream ends', async () => {
        vi.advanceTimersByTime(15_000);
        return watching.hasEnded();
      });
      other.closeAllConnections();
      other.close();
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('broadcasts for live updates', () => {
  it('When the caller has no token of the sidecar, then the broadcast is rejected', async () => {
    const other = await startService((deps) => createApp({ ...deps, ...gatewayOptions() }));
    const broadcast = () =>
      other.http.post('/events/orders.changed').send(buildEvent('orders.changed', { changed: [] }));
    expect((await broadcast()).status).toBe(200);
    expect((await broadcast().set('dapr-api-token', 'a guess')).status).toBe(401);
    await other.stop();
  });
});
