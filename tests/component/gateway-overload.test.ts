import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import type { MessageTypeDefinition, MethodDefinition } from '@grpc/proto-loader';
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApp, createGrpc, type GatewayDeps } from '../../services/gateway/app.ts';
import { createOrderUpdates } from '../../services/gateway/order-updates/feed.ts';
import { createAccessControl, type AccessControl } from '../../services/gateway/auth/access-control.ts';
import { createConcurrencyLimiter } from '../../services/gateway/limits/concurrency-limiter.ts';
import { loadProtocol } from '../../services/gateway/grpc/protocol.ts';
import type { GrpcServer } from '../../services/gateway/grpc/server.ts';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import { listen } from '../../services/shared/http/listen.ts';
import { ProblemError, unavailable } from '../../services/shared/http/problem.ts';
import { gatewayOptions } from '../support/gateway-options.ts';
import { slugOf, startService, type ServiceUnderTest } from '../support/service-under-test.ts';
import { waitFor } from '../support/wait.ts';

const ROOM = 64;
const ADA = { id: randomUUID(), role: 'customer' as const };
const ORDER = randomUUID();
const protocol = loadProtocol(resolve('services/gateway/grpc'));

let service: ServiceUnderTest;
let options: GatewayDeps;
let accessControl: AccessControl;
let verified: number;
let knowsTokens: boolean;
/** Releases the held responses of `orders`. */
let release: () => void;

beforeEach(async () => {
  [verified, knowsTokens] = [0, true];
  service = await startService((deps) => {
    options = { ...deps, ...gatewayOptions() };
    const verify = (authorization: string | undefined) => {
      verified += 1;
      if (!knowsTokens) return Promise.reject(unavailable());
      if (authorization === 'Bearer ada') return Promise.resolve(ADA);
      return Promise.reject(new ProblemError(401, 'unauthenticated', 'An access token is required.'));
    };
    // Requests stay recent for longer than a test takes, and none waits for its start.
    const limiter = createConcurrencyLimiter(createMetrics(), { recentMs: 60_000, maxWaiting: 0 });
    accessControl = createAccessControl(options, verify, limiter);
    return createApp(options, accessControl);
  });
  release = () => {};
});
afterEach(async () => {
  release();
  await service.stop();
});

const authorization = 'Bearer ada';
const read = () => service.http.get(`/api/orders/${ORDER}`).set({ authorization });
const requestCount = () => service.sidecar.calls.filter(({ target }) => target === 'orders').length;

/** Holds all responses of `orders` until `release`. */
function hold(): void {
  const released = new Promise<void>((done) => (release = done));
  service.sidecar.answer('orders', async ({ path }) => {
    if (path.includes('/changes')) return { status: 200, body: { items: [], ended: true } };
    await released;
    return { status: 200, body: { order_id: ORDER } };
  });
}

/** Sends the maximum of requests. Resolves when all have reached `orders`. */
async function full(): Promise<Promise<{ status: number }>[]> {
  hold();
  const requests = Array.from({ length: ROOM }, () => read().then((response) => response));
  await waitFor('orders has all of them', () => requestCount(), { until: (count) => count === ROOM });
  return requests;
}

describe('the maximum of requests in progress', () => {
  it('When one more arrives, then 503 at once, without verifying the token or reading the body', async () => {
    const requests = await full();
    const before = verified;
    for (const rejected of [
      await read(),
      await service.http.post('/api/orders').set({ authorization }).send({}),
      await service.http.post('/api/users/login').send({}),
    ])
      expect([rejected.status, slugOf(rejected), rejected.headers['retry-after']]).toEqual([
        503,
        'unavailable',
        '1',
      ]);
    expect([verified, requestCount()]).toEqual([before, ROOM]);
    expect(service.logs.filter(({ level }) => level === 'error')).toEqual([]);
    release();
    for (const request of requests) expect((await request).status).toBe(200);
    expect((await read()).status).toBe(200);
  });

  it('When probes, documents and streams are requested, then they succeed', async () => {
    expect(await full()).toHaveLength(ROOM);
    for (const name of ['users', 'inventory', 'payments', 'fulfilment', 'notifications', 'history'])
      service.sidecar.answer(name, () => ({ status: 200 }));
    for (const path of ['/healthz', '/openapi.json', '/docs'])
      expect([path, (await service.http.get(path)).status]).toEqual([path, 200]);
    const stream = await service.http.get(`/api/orders/${ORDER}/stream`).set({ authorization });
    expect(stream.status).toBe(204);
  });

  it('When a client sends its body slowly, then it takes no slot, and gets 503 at once if none is free', async () => {
    const server = await listen(
      createApp({ ...options, metrics: createMetrics() }, accessControl),
      0,
      '127.0.0.1',
    );
    const { port } = server.address() as AddressInfo;
    const startPost = (path: string) => {
      const client = connect(port, '127.0.0.1');
      const headers = 'content-type: application/json\r\ncontent-length: 2';
      client.write(
        `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\n${headers}\r\n\r\n{`,
      );
      const answer = new Promise<string>((done) => client.once('data', (bytes) => done(String(bytes))));
      return { answer, end: () => client.write('}') };
    };
    const early = startPost('/api/orders');
    await waitFor('its token is verified', () => verified, { until: (count) => count === 1 });
    expect(await full()).toHaveLength(ROOM);
    early.end();
    const late = startPost('/api/users/login');
    for (const answer of [await early.answer, await late.answer]) {
      expect(answer).toMatch(/^HTTP\/1.1 503 /);
      expect(answer.toLowerCase()).toContain('\r\nretry-after: 1\r\n');
    }
    server.closeAllConnections();
    server.close();
  });

  it('When clients disconnect, then their requests take a slot until the service responds', async () => {
    hold();
    const server = await listen(
      createApp({ ...options, metrics: createMetrics() }, accessControl),
      0,
      '127.0.0.1',
    );
    const { port } = server.address() as AddressInfo;
    for (let count = 0; count < ROOM; count++)
      connect(port, '127.0.0.1').write(
        `GET /api/orders/${ORDER} HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\n\r\n`,
      );
    await waitFor('orders has all of them', () => requestCount(), { until: (count) => count === ROOM });
    server.closeAllConnections();
    server.close();
    expect((await read()).status).toBe(503);
    release();
    await waitFor('there is room', read, { until: (response) => response.status === 200 });
  });
});

interface Outcome {
  code: status | undefined;
  details: Record<string, unknown>;
}

describe('REST and gRPC together', () => {
  let server: GrpcServer;
  let client: Client;
  beforeEach(async () => {
    server = createGrpc(
      { ...options, metrics: createMetrics() },
      accessControl,
      createOrderUpdates(options.sidecar),
    );
    client = new Client(`127.0.0.1:${await server.listen(0, '127.0.0.1')}`, credentials.createInsecure());
  });
  afterEach(async () => {
    release();
    client.close();
    await server.stop();
  });

  function getOrder(): Promise<Outcome> {
    const method = protocol.orderService['GetOrder'] as MethodDefinition<object, object>;
    const metadata = new Metadata();
    metadata.set('authorization', authorization);
    return new Promise((done) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        { order_id: ORDER },
        metadata,
        { deadline: Date.now() + 10_000 },
        (error) => done({ code: error?.code, details: error ? detailsOf(error) : {} }),
      );
    });
  }

  it('When REST is full, then gRPC is UNAVAILABLE at once, with a delay for the retry', async () => {
    expect(await full()).toHaveLength(ROOM);
    const { code, details } = await getOrder();
    expect([code, details['RetryInfo'], requestCount()]).toEqual([
      status.UNAVAILABLE,
      { retry_delay: { seconds: 1, nanos: 0 } },
      ROOM,
    ]);
    expect(service.logs.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('When gRPC is full, then REST is, too', async () => {
    hold();
    const calls = Array.from({ length: ROOM }, getOrder);
    await waitFor('orders has all of them', () => requestCount(), { until: (count) => count === ROOM });
    expect((await read()).status).toBe(503);
    release();
    await Promise.all(calls);
    expect((await read()).status).toBe(200);
  });

  const problem = (http: number, headers: Record<string, string> = {}) => ({
    status: http,
    headers,
    body: {
      type: 'urn:sidecart:problem:some-problem',
      title: 'Error',
      status: http,
      detail: 'Because.',
      instance: '/',
      request_id: 'r',
    },
  });
  const sentByDaprd = (http: number) => ({
    status: http,
    headers: { 'content-type': 'application/json' },
    body: { errorCode: 'ERR_DIRECT_INVOKE' },
  });

  it.each<[string, () => void, number, number]>([
    ['a service is unavailable', () => service.sidecar.fail('invoke'), 503, 1],
    ...[403, 404, 408, 429, 500, 502, 503, 504].map((http): [string, () => void, number, number] => [
      `a sidecar answers ${http} for it`,
      () => service.sidecar.answer('orders', () => sentByDaprd(http)),
      503,
      1,
    ]),
    ['it responds with 503', () => service.sidecar.answer('orders', () => problem(503)), 503, 1],
    ['it responds with 429', () => service.sidecar.answer('orders', () => problem(429)), 429, 1],
    [
      'it responds with 503 and Retry-After',
      () => service.sidecar.answer('orders', () => problem(503, { 'retry-after': '17' })),
      503,
      17,
    ],
    [
      'it responds with 429 and Retry-After',
      () => service.sidecar.answer('orders', () => problem(429, { 'retry-after': '17' })),
      429,
      17,
    ],
    ['tokens cannot be verified', () => (knowsTokens = false), 503, 1],
  ])('When %s, then REST and gRPC have the time to retry', async (_what, trigger, http, seconds) => {
    trigger();
    const response = await read();
    expect([response.status, response.headers['retry-after']]).toEqual([http, String(seconds)]);
    trigger();
    const { code, details } = await getOrder();
    expect([code, details['RetryInfo']]).toEqual([
      http === 429 ? status.RESOURCE_EXHAUSTED : status.UNAVAILABLE,
      { retry_delay: { seconds, nanos: 0 } },
    ]);
  });

  it('When the system is down, then /health has the time to retry', async () => {
    const { status: http, headers } = await service.http.get('/health');
    expect([http, headers['retry-after']]).toEqual([503, '1']);
  });

  it('When a caller has too many streams open, then 429 has the time to retry', async () => {
    for (let count = 0; count < 100; count++) accessControl.openStream(ADA, authorization);
    const { status: http, headers } = await service.http
      .get(`/api/orders/${ORDER}/stream`)
      .set({ authorization });
    expect([http, headers['retry-after']]).toEqual([429, '1']);
  });
});

/** The `google.rpc` details of an error, by name. */
function detailsOf(error: ServiceError): Record<string, unknown> {
  const decode = (type: string, bytes: Buffer) =>
    (protocol.definitions[type] as MessageTypeDefinition<object, object>).deserialize(bytes);
  const [bytes] = error.metadata.get('grpc-status-details-bin') as Buffer[];
  const { details } = decode('google.rpc.Status', bytes!) as {
    details: { type_url: string; value: Buffer }[];
  };
  return Object.fromEntries(
    details.map(({ type_url, value }) => {
      const type = type_url.replace('type.googleapis.com/', '');
      return [type.replace('google.rpc.', ''), decode(type, value)];
    }),
  );
}
