import {
  Client,
  credentials,
  Metadata,
  status,
  type CallOptions,
  type ClientReadableStream,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { service as health } from 'grpc-health-check';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { VerifyToken } from '../../services/gateway/auth/token-verifier.ts';
import { createAccessControl, type AccessControl } from '../../services/gateway/auth/access-control.ts';
import { loadProtocol } from '../../services/gateway/grpc/protocol.ts';
import { createGrpcServer, type GrpcDeps, type GrpcServer } from '../../services/gateway/grpc/server.ts';
import type { Order, OrderChange } from '../../services/orders/contract.ts';
import type { Caller } from '../../services/shared/http/caller.ts';
import { notFound, ProblemError } from '../../services/shared/http/problem.ts';
import { createService } from '../../services/shared/runtime/service-app.ts';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import { gatewayOptions } from '../support/gateway-options.ts';
import { createSidecarClient, startService, type ServiceUnderTest } from '../support/service-under-test.ts';
import { waitFor } from '../support/wait.ts';

const PROTO_DIR = resolve('services/gateway/grpc');
const protocol = loadProtocol(PROTO_DIR);
// The package has the types of another version of the loader.
const healthService = health as unknown as ServiceDefinition;

const ADA: Caller = { id: randomUUID(), role: 'customer' };
const ORDER = '01940f8e-5b1c-7c3e-9d41-2b8a6e0f4c11';
const order: Order = {
  order_id: ORDER,
  customer_id: ADA.id,
  status: 'PENDING',
  items: [{ product_id: 'mug-blue', name: 'Blue mug', quantity: 2, unit_price: 1_250 }],
  total: 9_000_000_000,
  currency: 'EUR',
  version: 1,
  created_at: '2026-01-01T00:00:00.250Z',
  updated_at: '2026-01-01T00:00:01Z',
};
const cart = {
  items: [{ product_id: 'mug-blue', quantity: 2 }],
  payment: { method: 'card', card_token: 'tok_visa' },
};

let service: ServiceUnderTest;
let deps: GrpcDeps;
let server: GrpcServer;
let client: Client;
/** The changes that `watch` yields, and the calls of `watch`. */
let changes: (signal: AbortSignal) => AsyncIterable<OrderChange>;
let watchCalls: unknown[][];
let refusal: ProblemError | undefined;
let isReady: boolean;
let token: string;
/** The freshness that each token verification required. */
let freshness: string[];
/** A server that limits after three failures. */
let strict: AccessControl;
/** The same server, with a trusted proxy on this host. */
let behindProxy: AccessControl;

beforeEach(async () => {
  [refusal, isReady, watchCalls, token] = [undefined, true, [], 'Bearer ada'];
  freshness = [];
  const verify: VerifyToken = (authorization, asked) => {
    freshness.push(asked);
    return authorization === token
      ? Promise.resolve(ADA)
      : Promise.reject(new ProblemError(401, 'unauthenticated', 'An access token is required.'));
  };
  service = await startService((shared) => {
    const accessControl = createAccessControl({ ...shared, ...gatewayOptions() }, verify);
    const few = { limits: () => ({ default: 3, api: 1, auth: 1 }) };
    strict = createAccessControl({ ...shared, ...gatewayOptions(), ...few }, verify);
    const trustedProxies = ['loopback'];
    behindProxy = createAccessControl({ ...shared, ...gatewayOptions(), ...few, trustedProxies }, verify);
    deps = {
      ...shared,
      accessControl: {
        ...accessControl,
        limits: { ...accessControl.limits, count: () => Promise.resolve(refusal) },
      },
      watch: (caller, orderId, after, signal) => {
        watchCalls.push([caller, orderId, after]);
        return changes(signal);
      },
      isReady: () => Promise.resolve(isReady),
      protoDir: PROTO_DIR,
    };
    return createService(shared, { routers: [] });
  });
  service.sidecar.answer('orders', () => ({ status: 200, body: order }));
  await serve();
});
afterEach(async () => {
  client.close();
  await server.stop();
  await service.stop();
});

async function serve(changed: Partial<GrpcDeps> = {}): Promise<void> {
  server = createGrpcServer({ ...deps, ...changed });
  const port = await server.listen(0, '127.0.0.1');
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
}

/** Restarts the server with other dependencies. */
async function restartServer(changed: Partial<GrpcDeps>): Promise<void> {
  client.close();
  await server.stop();
  service.logs.length = 0;
  await serve({ ...changed, metrics: createMetrics() });
}

interface Outcome {
  code: status;
  message: Record<string, unknown> | undefined;
  error: ServiceError | undefined;
  headers: Metadata | undefined;
}

const withToken = { authorization: 'Bearer ada' };

function methodOf(definition: ServiceDefinition, name: string): MethodDefinition<object, object> {
  return definition[name] as MethodDefinition<object, object>;
}

function metadataOf(values: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(values)) metadata.set(key, value);
  return metadata;
}

function ask(
  name: string,
  request: object,
  metadata: Record<string, string> = withToken,
  { definition = protocol.orderService, ...options }: CallOptions & { definition?: ServiceDefinition } = {},
): Promise<Outcome> {
  const { path, requestSerialize, responseDeserialize } = methodOf(definition, name);
  return new Promise((done) => {
    let headers: Metadata | undefined;
    client
      .makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadataOf(metadata),
        { deadline: Date.now() + 5_000, ...options },
        (error, message) => {
          const code = error?.code ?? status.OK;
          done({ code, message: message as Outcome['message'], error: error ?? undefined, headers });
        },
      )
      .on('metadata', (received: Metadata) => (headers = received));
  });
}

function watch(
  request: object = { order_id: ORDER },
  name = 'WatchOrder',
  definition = protocol.orderService,
  metadata: Record<string, string> = withToken,
): ClientReadableStream<object> {
  const { path, requestSerialize, responseDeserialize } = methodOf(definition, name);
  return client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
    metadataOf(metadata),
    { deadline: Date.now() + 10_000 },
  );
}

/** All messages of a stream, and its final status. */
async function drained(stream: ClientReadableStream<object>): Promise<{ messages: object[]; code: status }> {
  const messages: object[] = [];
  stream.on('data', (message: object) => messages.push(message)).on('error', () => {});
  const code = await new Promise<status>((done) => stream.on('status', (end) => done(end.code)));
  return { messages, code };
}

/** The `google.rpc` details of an error, by name. */
function detailsOf({ error }: Outcome): Record<string, unknown> {
  const decode = (type: string, bytes: Buffer) =>
    (protocol.definitions[type] as MessageTypeDefinition<object, object>).deserialize(bytes);
  const [bytes] = error!.metadata.get('grpc-status-details-bin') as Buffer[];
  const { code, message, details } = decode('google.rpc.Status', bytes!) as {
    code: number;
    message: string;
    details: { type_url: string; value: Buffer }[];
  };
  expect([code, message]).toEqual([error!.code, error!.details]);
  return Object.fromEntries(
    details.map(({ type_url, value }) => {
      const type = type_url.replace('type.googleapis.com/', '');
      return [type.replace('google.rpc.', ''), decode(type, value)];
    }),
  );
}

const lastCall = () => service.sidecar.calls.at(-1)!;
const lines = () => service.logs.filter(({ msg }) => msg === 'grpc request completed');

/**
 * A sidecar that does not respond by itself. `firstCall` is the pending response to the first call. `abandoned` resolves when
 * the client has disconnected.
 */
async function startSilentSidecar() {
  const silentServer = createServer();
  const firstCall = new Promise<ServerResponse>((done) =>
    silentServer.once('request', (_, answer) => done(answer)),
  );
  const abandoned = new Promise<void>((done) =>
    silentServer.once('request', (request: IncomingMessage) =>
      request.on('error', () => {}).once('close', done),
    ),
  );
  await new Promise<void>((done) => void silentServer.listen(0, '127.0.0.1', done));
  const sidecar = createSidecarClient((silentServer.address() as AddressInfo).port);
  return {
    sidecar,
    firstCall,
    abandoned,
    async close() {
      silentServer.closeAllConnections();
      silentServer.close();
      await sidecar.close();
    },
  };
}

describe('sessions that have just ended', () => {
  it.each([
    ['CreateOrder', 'current'],
    ['CancelOrder', 'current'],
    ['GetOrder', 'recent'],
  ])('When it is %s, then the list of revoked sessions has to be %s', async (method, expected) => {
    await ask(method, { order_id: ORDER });
    expect(freshness).toEqual([expected]);
  });
});

describe('forged tokens', () => {
  it('When they come from one address, then the address is limited in the end, whatever they contain', async () => {
    await restartServer({ accessControl: strict });
    const codes: status[] = [];
    for (let count = 0; count < 4; count++) {
      const forged = { authorization: `Bearer made-up-${count}` };
      codes.push((await ask('GetOrder', { order_id: ORDER }, forged)).code);
    }
    expect(codes).toEqual([
      ...Array.from({ length: 3 }, () => status.UNAUTHENTICATED),
      status.RESOURCE_EXHAUSTED,
    ]);
  });

  const sendForgedToken = async (address: string) =>
    (
      await ask(
        'GetOrder',
        { order_id: ORDER },
        { authorization: 'Bearer made-up', 'x-forwarded-for': address },
      )
    ).code;

  it('When they come through a trusted proxy, then other clients of the proxy are not limited', async () => {
    await restartServer({ accessControl: behindProxy });
    for (let count = 0; count < 3; count++)
      expect(await sendForgedToken(`203.0.113.7:${40_000 + count}`)).toBe(status.UNAUTHENTICATED);
    expect(await sendForgedToken('203.0.113.7:40003')).toBe(status.RESOURCE_EXHAUSTED);
    expect(await sendForgedToken('203.0.113.8:40004')).toBe(status.UNAUTHENTICATED);
  });

  it('When a client that is not a trusted proxy names an address, then the gateway ignores it', async () => {
    await restartServer({ accessControl: strict });
    for (let count = 0; count < 3; count++)
      expect(await sendForgedToken(`203.0.113.${count}`)).toBe(status.UNAUTHENTICATED);
    expect(await sendForgedToken('203.0.113.99')).toBe(status.RESOURCE_EXHAUSTED);
  });
});

describe('an order', () => {
  it('When it is placed, then orders receives the body of the REST API and the caller', async () => {
    const accepted = {
      order_id: ORDER,
      status: 'PENDING',
      message: 'Accepted.',
      total: 2_500,
      currency: 'EUR',
    };
    service.sidecar.answer('orders', () => ({ status: 201, body: accepted }));
    const items = [{ product_id: 'mug-blue', quantity: 2, unit_price: 1_250 }, ...cart.items];
    const request = { ...cart, items, currency: 'EUR', customer_id: ADA.id };
    const { message, headers } = await ask('CreateOrder', request, {
      ...withToken,
      'idempotency-key': 'k-1',
    });
    expect(message).toEqual({ ...accepted, status: 'ORDER_STATUS_PENDING' });
    expect(headers?.get('idempotent-replayed')).toEqual([]);
    expect(lastCall()).toMatchObject({
      target: 'orders',
      method: 'POST',
      path: '/api/orders',
      body: request,
    });
    expect(lastCall().headers).toMatchObject({
      'x-caller-id': ADA.id,
      'x-caller-role': 'customer',
      'idempotency-key': 'k-1',
      'content-type': 'application/json',
    });
  });

  it('When only the required fields are given, then no other field is forwarded', async () => {
    await ask('CreateOrder', cart);
    expect(lastCall().body).toEqual(cart);
    expect(lastCall().headers).not.toHaveProperty('idempotency-key');
  });

  it('When a key is far too long, then the key in the call to the sidecar is not', async () => {
    await ask('CreateOrder', cart, { ...withToken, 'idempotency-key': 'k'.repeat(20_000) });
    expect(lastCall().headers['idempotency-key']).toHaveLength(1_024);
  });

  it('When a response is replayed, then the metadata has the mark', async () => {
    const headers = { 'idempotent-replayed': 'true' };
    const body = { order_id: ORDER, status: 'PENDING', message: '', total: 1, currency: 'EUR' };
    service.sidecar.answer('orders', () => ({ status: 201, body, headers }));
    const outcome = await ask('CreateOrder', cart, { ...withToken, 'idempotency-key': 'k-1' });
    expect(outcome.headers?.get('idempotent-replayed')).toEqual(['true']);
  });

  it('When it is read, then sums, times and status have the types of gRPC', async () => {
    const { message } = await ask('GetOrder', { order_id: ORDER });
    expect(message).toEqual({
      ...order,
      status: 'ORDER_STATUS_PENDING',
      created_at: { seconds: 1_767_225_600, nanos: 250_000_000 },
      updated_at: { seconds: 1_767_225_601, nanos: 0 },
    });
    expect(lastCall()).toMatchObject({ target: 'orders', method: 'GET', path: `/api/orders/${ORDER}` });
  });

  it('When it is cancelled, then orders receives the reason', async () => {
    const cancelled: Order = { ...order, status: 'CANCELLED', reason: 'changed my mind' };
    service.sidecar.answer('orders', () => ({ status: 200, body: cancelled }));
    const { message } = await ask('CancelOrder', { order_id: ORDER, reason: 'changed my mind' });
    expect(message).toMatchObject({ status: 'ORDER_STATUS_CANCELLED', reason: 'changed my mind' });
    expect(lastCall()).toMatchObject({
      method: 'POST',
      path: `/api/orders/${ORDER}/cancel`,
      body: { reason: 'changed my mind' },
    });
  });

  it.each(['GetOrder', 'CancelOrder', 'WatchOrder'])(
    'When %s is called with an id in capitals, then the same order is requested',
    async (name) => {
      const request = { order_id: ORDER.toUpperCase() };
      if (name === 'WatchOrder') await drained(watch(request));
      else await ask(name, request);
      const asked = name === 'WatchOrder' ? watchCalls.map(([, orderId]) => orderId) : [lastCall().path];
      expect(asked).toEqual([expect.stringContaining(ORDER)]);
    },
  );

  it.each(['GetOrder', 'CancelOrder', 'WatchOrder'])(
    'When %s is called with a malformed id, then NOT_FOUND and no service is called',
    async (name) => {
      const request = { order_id: '../users' };
      const code =
        name === 'WatchOrder' ? (await drained(watch(request))).code : (await ask(name, request)).code;
      expect(code).toBe(status.NOT_FOUND);
      expect([service.sidecar.calls, watchCalls]).toEqual([[], []]);
    },
  );
});

describe('watching an order', () => {
  it('When the changes end, then the stream has had all of them and ends with OK', async () => {
    changes = async function* changed() {
      yield { type: 'order.paid', order: { ...order, status: 'PAID', version: 3 } };
      yield { type: 'order.cancelled', order: { ...order, status: 'CANCELLED', version: 4 } };
    };
    const { messages, code } = await drained(watch({ order_id: ORDER, after_version: 2 }));
    expect(code).toBe(status.OK);
    expect(messages).toMatchObject([
      { type: 'order.paid', order: { status: 'ORDER_STATUS_PAID', version: 3 } },
      { type: 'order.cancelled', order: { status: 'ORDER_STATUS_CANCELLED', version: 4 } },
    ]);
    expect(watchCalls).toEqual([[ADA, ORDER, 2]]);
  });

  it('When there are more changes than fit at once, then all arrive in order', async () => {
    const versions = Array.from({ length: 1_000 }, (_, position) => position + 1);
    changes = async function* changed() {
      for (const version of versions) yield { type: 'order.paid', order: { ...order, version } };
    };
    const { messages, code } = await drained(watch());
    expect(code).toBe(status.OK);
    expect(messages.map((event) => (event as { order: Order }).order.version)).toEqual(versions);
  });

  it('When there is no such order, then NOT_FOUND', async () => {
    // eslint-disable-next-line require-yield
    changes = async function* none() {
      throw notFound('order');
    };
    expect(await drained(watch())).toEqual({ messages: [], code: status.NOT_FOUND });
  });

  it('When the caller cancels, then the gateway stops watching', async () => {
    const seen = watching();
    const stream = watch().on('error', () => {});
    await once(stream, 'data');
    stream.cancel();
    await seen.aborted;
    await waitFor('a line', () => lines(), { until: (all) => all.length === 1 });
    expect(lines()).toMatchObject([{ method: 'sidecart.v1.OrderService/WatchOrder', code: 'CANCELLED' }]);
    expect(service.logs.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('When the server stops, then the stream ends with UNAVAILABLE, and the gateway stops watching', async () => {
    const seen = watching();
    const stream = watch();
    const ended = drained(stream);
    await once(stream, 'data');
    await server.stop();
    expect(await ended).toMatchObject({ messages: [{ type: 'order.created' }], code: status.UNAVAILABLE });
    await seen.aborted;
    expect(lines()).toMatchObject([{ code: 'UNAVAILABLE' }]);
  });

  it('When the token expires, then UNAUTHENTICATED, and the gateway stops watching', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const seen = watching();
      const stream = watch();
      const ended = drained(stream);
      await once(stream, 'data');
      await vi.advanceTimersByTimeAsync(15_000);
      expect(service.logs).toEqual([]);
      token = 'Bearer another';
      await vi.advanceTimersByTimeAsync(15_000);
      expect((await ended).code).toBe(status.UNAUTHENTICATED);
      await seen.aborted;
    } finally {
      vi.useRealTimers();
    }
  });

  it('When a caller has 100 streams open, then RESOURCE_EXHAUSTED until one is closed', async () => {
    watching();
    const streams = Array.from({ length: 100 }, () => watch().on('error', () => {}));
    await Promise.all(streams.map((stream) => once(stream, 'data')));
    expect((await drained(watch())).code).toBe(status.RESOURCE_EXHAUSTED);
    streams[0]!.cancel();
    await waitFor('a line', () => lines(), { until: (all) => all.some(({ code }) => code === 'CANCELLED') });
    await once(
      watch().on('error', () => {}),
      'data',
    );
  });
});

/** Lets `watch` yield one change and then wait until it is aborted. */
function watching(): { aborted: Promise<void> } {
  const aborted = new Promise<void>((done) => {
    changes = async function* changed(signal) {
      yield { type: 'order.created', order };
      if (!signal.aborted) await once(signal, 'abort');
      done();
    };
  });
  return { aborted };
}

describe('who may call', () => {
  const methods = Object.keys(protocol.orderService);

  it.each(methods)(
    'When %s is called without a token, then UNAUTHENTICATED and no service is called',
    async (name) => {
      const otherCaller = { authorization: 'Bearer eve' };
      const request = { ...cart, order_id: ORDER };
      const outcome =
        name === 'WatchOrder'
          ? await drained(watch(request, name, protocol.orderService, otherCaller))
          : await ask(name, request, otherCaller);
      expect(outcome.code).toBe(status.UNAUTHENTICATED);
      expect([service.sidecar.calls, watchCalls]).toEqual([[], []]);
    },
  );

  it.each(methods)('When %s is called too often, then RESOURCE_EXHAUSTED', async (name) => {
    refusal = new ProblemError(429, 'too-many-requests', 'Slower.', { headers: { 'retry-after': '7' } });
    const request = { ...cart, order_id: ORDER };
    const outcome = name === 'WatchOrder' ? await drained(watch(request)) : await ask(name, request);
    expect(outcome.code).toBe(status.RESOURCE_EXHAUSTED);
    expect([service.sidecar.calls, watchCalls]).toEqual([[], []]);
  });
});

describe('errors', () => {
  function refuse(http: number, slug: string, more: object = {}, headers: Record<string, string> = {}): void {
    const body = {
      type: `urn:sidecart:problem:${slug}`,
      title: 'Error',
      status: http,
      detail: 'Because.',
      instance: '/api/orders',
      request_id: 'r-1',
      ...more,
    };
    service.sidecar.answer('orders', () => ({ status: http, body, headers }));
  }

  it.each([
    [400, 'invalid-idempotency-key', 'INVALID_ARGUMENT'],
    [401, 'unauthenticated', 'UNAUTHENTICATED'],
    [403, 'forbidden', 'PERMISSION_DENIED'],
    [404, 'not-found', 'NOT_FOUND'],
    [409, 'idempotency-key-in-use', 'ABORTED'],
    [409, 'not-cancellable', 'FAILED_PRECONDITION'],
    [412, 'precondition-failed', 'FAILED_PRECONDITION'],
    [413, 'too-large', 'RESOURCE_EXHAUSTED'],
    [422, 'invalid-input', 'INVALID_ARGUMENT'],
    [429, 'too-many-requests', 'RESOURCE_EXHAUSTED'],
    [500, 'internal-error', 'INTERNAL'],
    [503, 'unavailable', 'UNAVAILABLE'],
  ] as const)('When orders responds with %i %s, then %s', async (http, slug, code) => {
    refuse(http, slug);
    const outcome = await ask('GetOrder', { order_id: ORDER }, { ...withToken, 'x-request-id': 'r-2' });
    expect(status[outcome.code]).toBe(code);
    expect(outcome.error?.details).toBe('Because.');
    expect(detailsOf(outcome)).toEqual({
      ErrorInfo: { reason: slug.toUpperCase().replaceAll('-', '_'), domain: 'sidecart', metadata: {} },
      RequestInfo: { request_id: 'r-2', serving_data: '' },
      ...(http === 429 || http === 503 ? { RetryInfo: { retry_delay: { seconds: 1, nanos: 0 } } } : {}),
    });
  });

  it('When fields are invalid, then the status has the violations in the form of gRPC', async () => {
    const errors = [
      { field: 'items.0.quantity', message: 'is too small' },
      { field: 'payment.card_token', message: 'is no token' },
    ];
    refuse(422, 'invalid-input', { errors });
    expect(detailsOf(await ask('CreateOrder', cart))['BadRequest']).toEqual({
      field_violations: [
        { field: 'items[0].quantity', description: 'is too small' },
        { field: 'payment.card_token', description: 'is no token' },
      ],
    });
  });

  it('When more fields are invalid than fit into metadata, then the status has the first ones', async () => {
    const errors = Array.from({ length: 200 }, (_, line) => ({
      field: `items.${line}.quantity`,
      message: 'no',
    }));
    refuse(422, 'invalid-input', { errors });
    const { field_violations } = detailsOf(await ask('CreateOrder', cart))['BadRequest'] as {
      field_violations: unknown[];
    };
    expect(field_violations).toHaveLength(20);
  });

  it('When orders sends Retry-After, then the status has the delay, too', async () => {
    refuse(503, 'unavailable', {}, { 'retry-after': '3' });
    expect(detailsOf(await ask('CreateOrder', cart))['RetryInfo']).toEqual({
      retry_delay: { seconds: 3, nanos: 0 },
    });
  });

  it('When the sidecar cannot reach orders, then UNAVAILABLE without internal details', async () => {
    service.sidecar.fail('invoke');
    const outcome = await ask('CancelOrder', { order_id: ORDER });
    expect([outcome.code, outcome.error?.details]).toEqual([
      status.UNAVAILABLE,
      'The service is temporarily unavailable. Try again later.',
    ]);
    expect(detailsOf(outcome)).toMatchObject({
      ErrorInfo: { reason: 'UNAVAILABLE' },
      RetryInfo: { retry_delay: { seconds: 1 } },
    });
  });

  it('When the response is invalid, then INTERNAL, and only the log has the reason', async () => {
    service.sidecar.answer('orders', () => ({ status: 200, body: { order_id: ORDER } }));
    const outcome = await ask('GetOrder', { order_id: ORDER });
    expect([outcome.code, outcome.error?.details]).toEqual([
      status.INTERNAL,
      'An internal error occurred. Report the `request_id` if the error persists.',
    ]);
    expect(service.logs.filter(({ msg }) => msg === 'request failed')).toHaveLength(1);
  });

  it('When a message is larger than 100 KB, then RESOURCE_EXHAUSTED', async () => {
    const request = { order_id: ORDER, reason: 'x'.repeat(101 * 1024) };
    expect((await ask('CancelOrder', request)).code).toBe(status.RESOURCE_EXHAUSTED);
  });
});

describe('deadlines', () => {
  it('When the deadline passes, then DEADLINE_EXCEEDED and the call to orders is aborted', async () => {
    const silent = await startSilentSidecar();
    await restartServer({ sidecar: silent.sidecar });
    const asking = ask('GetOrder', { order_id: ORDER }, withToken, { deadline: Date.now() + 200 });
    await silent.abandoned;
    expect((await asking).code).toBe(status.DEADLINE_EXCEEDED);
    await waitFor('a line', () => lines(), { until: (all) => all.length === 1 });
    expect(lines()[0]).toMatchObject({ code: 'DEADLINE_EXCEEDED', order_id: ORDER });
    expect(service.logs.filter(({ level }) => level === 'error')).toEqual([]);
    await silent.close();
  });

  it.each([
    ['', 0],
    [' and the clock is set an hour ahead meanwhile', 3_600_000],
  ])('When the caller cancels%s, then the call to orders is aborted', async (_, ms) => {
    const silent = await startSilentSidecar();
    await restartServer({ sidecar: silent.sidecar });
    const { path, requestSerialize, responseDeserialize } = methodOf(protocol.orderService, 'GetOrder');
    const call = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { order_id: ORDER },
      metadataOf(withToken),
      { deadline: Date.now() + 60_000 },
      () => {},
    );
    await silent.firstCall;
    const setClock = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + ms);
    call.cancel();
    await silent.abandoned;
    await waitFor('a line', () => lines(), { until: (all) => all.length === 1 });
    setClock.mockRestore();
    expect(lines()[0]).toMatchObject({ code: 'CANCELLED' });
    await silent.close();
  });
});

describe('stopping', () => {
  it('When the server stops, then it still answers the calls in progress', async () => {
    const silent = await startSilentSidecar();
    await restartServer({ sidecar: silent.sidecar });
    const asking = ask('GetOrder', { order_id: ORDER });
    const answer = await silent.firstCall;
    const stopping = server.stop();
    answer.setHeader('content-type', 'application/json').end(JSON.stringify(order));
    expect((await asking).code).toBe(status.OK);
    await stopping;
    expect((await ask('GetOrder', { order_id: ORDER })).code).toBe(status.UNAVAILABLE);
    await silent.close();
  });
});

describe('traces, ids and metrics of a call', () => {
  it('When it has a trace and a request id, then orders receives them and the response has them', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const { headers } = await ask(
      'GetOrder',
      { order_id: ORDER },
      {
        ...withToken,
        traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
        'x-request-id': 'r-7',
      },
    );
    const [, sentTrace, sentSpan] = String(lastCall().headers['traceparent']).split('-');
    expect([sentTrace, lastCall().headers['x-request-id']]).toEqual([traceId, 'r-7']);
    expect(headers?.get('x-request-id')).toEqual(['r-7']);
    expect(headers?.get('traceresponse')).toEqual([`00-${traceId}-${sentSpan}-01`]);
    expect(lines()).toMatchObject([
      {
        method: 'sidecart.v1.OrderService/GetOrder',
        code: 'OK',
        duration_ms: expect.any(Number) as number,
        request_id: 'r-7',
        trace_id: traceId,
        order_id: ORDER,
      },
    ]);
  });

  it('When calls overlap, then each has its own trace', async () => {
    const traceIds = Array.from({ length: 20 }, (_, call) => `${call + 1}`.padStart(32, '0'));
    await Promise.all(
      traceIds.map((traceId) =>
        ask(
          'GetOrder',
          { order_id: ORDER },
          {
            ...withToken,
            traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
            'x-request-id': traceId,
          },
        ),
      ),
    );
    const traceOf = new Map(
      service.sidecar.calls.map(({ headers }) => [
        headers['x-request-id'],
        String(headers['traceparent']).split('-')[1],
      ]),
    );
    expect(traceOf).toEqual(new Map(traceIds.map((traceId) => [traceId, traceId])));
  });

  it('When it fails, then the ids come with the status', async () => {
    const { error } = await ask(
      'GetOrder',
      { order_id: 'none' },
      { ...withToken, 'x-request-id': 'no spaces!' },
    );
    expect(error?.metadata.get('x-request-id')).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)]);
    expect(error?.metadata.get('traceresponse')).toEqual([expect.stringMatching(/^00-[0-9a-f]{32}-/)]);
  });

  it('When calls end, then they are counted by method and code', async () => {
    await ask('GetOrder', { order_id: ORDER });
    await ask('GetOrder', { order_id: 'none' });
    const { text } = await service.http.get('/metrics');
    const count = (code: string) =>
      `requests_total{protocol="grpc",method="GetOrder",route="sidecart.v1.OrderService",status="${code}"} 1`;
    expect(text).toContain(count('OK'));
    expect(text).toContain(count('NOT_FOUND'));
  });
});

describe('without a token', () => {
  const check = (name: string) => ask('Check', { service: name }, {}, { definition: healthService });

  it.each(['', 'sidecart.v1.OrderService'])(
    'When the gateway is ready, then "%s" is SERVING',
    async (name) => {
      expect((await check(name)).message).toEqual({ status: 'SERVING' });
      expect(lines()).toEqual([]);
    },
  );

  it('When the gateway becomes unready, then NOT_SERVING', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      await restartServer({});
      isReady = false;
      await vi.advanceTimersByTimeAsync(5_000);
      expect((await check('')).message).toEqual({ status: 'NOT_SERVING' });
    } finally {
      vi.useRealTimers();
    }
  });

  it('When the server stops, then health watchers get NOT_SERVING first', async () => {
    const stream = watch({ service: '' }, 'Watch', healthService, {});
    const ended = drained(stream);
    await once(stream, 'data');
    await server.stop();
    expect(await ended).toEqual({
      messages: [{ status: 'SERVING' }, { status: 'NOT_SERVING' }],
      code: status.UNAVAILABLE,
    });
  });

  it('When reflection is called, then it lists the services', async () => {
    expect(await reflect({ list_services: '' })).toMatchObject({
      list_services_response: {
        service: [{ name: 'sidecart.v1.OrderService' }, { name: 'grpc.health.v1.Health' }],
      },
    });
  });

  it.each(['sidecart.v1.OrderService', 'google.rpc.RetryInfo'])(
    'When reflection is called for %s, then it returns its file and the imports',
    async (symbol) => {
      const [file, ...others] = await filesWith(symbol);
      expect(others.map(({ name }) => name)).toEqual(file?.dependency);
    },
  );

  it('When a file is described, then optional fields and maps have the form of protobuf', async () => {
    const messageOf = async (symbol: string) => {
      const [{ messageType }] = (await filesWith(symbol)) as [FileDescriptor];
      return messageType.find(({ name }) => symbol.endsWith(`.${name}`));
    };
    expect(await messageOf('sidecart.v1.CancelOrderRequest')).toMatchObject({
      field: [{ name: 'order_id' }, { name: 'reason', proto3Optional: true }],
    });
    expect(await messageOf('google.rpc.ErrorInfo')).toMatchObject({
      field: [{ name: 'reason' }, { name: 'domain' }, { name: 'metadata', typeName: 'MetadataEntry' }],
      nestedType: [{ name: 'MetadataEntry', options: { mapEntry: true } }],
    });
  });
});

async function reflect(request: object): Promise<object> {
  const folder = dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'));
  const { 'grpc.reflection.v1.ServerReflection': definition } = loadSync(
    `${folder}/build/proto/grpc/reflection/v1/reflection.proto`,
    { keepCase: true },
  );
  const { path, requestSerialize, responseDeserialize } = methodOf(
    definition as ServiceDefinition,
    'ServerReflectionInfo',
  );
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata());
  const answered = once(stream, 'data') as Promise<[object]>;
  stream.write(request);
  stream.end();
  const [answer] = await answered;
  await once(stream, 'status');
  return answer;
}

interface FileDescriptor {
  name: string;
  dependency?: string[];
  messageType: { name: string }[];
}

/** The file with the symbol first, then its imports. */
async function filesWith(symbol: string): Promise<FileDescriptor[]> {
  const { 'google.protobuf.FileDescriptorProto': file } = loadSync('google/protobuf/descriptor.proto');
  const { deserialize } = file as MessageTypeDefinition<object, FileDescriptor>;
  const { file_descriptor_response } = (await reflect({ file_containing_symbol: symbol })) as {
    file_descriptor_response: { file_descriptor_proto: Buffer[] };
  };
  return file_descriptor_response.file_descriptor_proto.map(deserialize);
}
