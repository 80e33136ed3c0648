import { createClient as createRedis } from '@redis/client';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { portsAt } from '../../deploy/local/configuration/ports.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { SERVICES } from '../../services/services.ts';
import { unwrap, createClient } from '../../services/gateway/client/client.ts';
import { findOrBuildGrpcurl } from '../support/grpcurl.ts';
import { createAsyncApiCheck, createOpenApiCheck } from '../support/json-schema.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { login, registerCustomer, placeOrder, waitForStatus, type Caller } from '../support/shop.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { publishUnprocessable } from '../support/real-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import { openSqlite } from '../support/sqlite.ts';

/** Compares the documents with a running system. */

const OFFSET = PORT_OFFSETS.contracts;
let system: RunningSystem;
let admin: Caller;
let grpcurl: string;
const dataDir = mkdtempSync(join(tmpdir(), 'sidecart-contracts-'));

beforeAll(async () => {
  grpcurl = await findOrBuildGrpcurl();
  system = await startSystem({
    dataDir,
    portOffset: OFFSET,
    env: {
      // Each return waits for its approval.
      returns: { RETURN_AUTO_APPROVAL_AMOUNT: '0' },
      gateway: NO_RATE_LIMITS,
      // Paid orders stay long enough to be cancelled, or shipped by an administrator.
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '60000' },
    },
  });
  admin = await login(system.urls.api, system.admin.email, system.admin.password);
}, 300_000);
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

type Json = Record<string, unknown>;

interface Operation {
  operationId: string;
  parameters?: { name: string; in: string; required: boolean }[];
  requestBody?: { content: Record<string, { examples?: Record<string, { value: unknown }> }> };
  responses: Record<string, { content?: Record<string, { schema: Json }> }>;
}

interface OpenApiDocument {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json> };
}

interface AsyncApiDocument {
  channels: Record<string, { address: string }>;
  components: { messages: Record<string, { payload: Json }> };
}

const documentAt = async <Document>(path: string) =>
  (await (await fetch(`${system.urls.api}${path}`)).json()) as Document;

/** The replacements of placeholders in an example: ids, and values that only a running system has. */
interface Placeholders {
  params?: Record<string, string>;
  query?: string;
  token?: string;
  body?: (example: unknown) => unknown;
}

const tokenOf = ({ call }: Caller) => call.tokens()?.access_token ?? '';

async function paidOrder(): Promise<Placeholders & { params: { id: string; order_id: string } }> {
  const { orderId } = await placeOrder(admin);
  await waitForStatus(admin, orderId, 'PAID');
  return { params: { id: orderId, order_id: orderId } };
}

async function deliveredOrder(): Promise<{ params: { id: string; order_id: string } }> {
  const { params } = await paidOrder();
  // An administrator ships it, because the warehouse takes a minute here.
  for (const status of ['SHIPPED', 'DELIVERED'] as const)
    unwrap(await admin.call('PUT /api/orders/:id/status', { params: { id: params.id }, body: { status } }));
  return { params };
}

async function requestedReturn(): Promise<{ params: { id: string } }> {
  const { params } = await deliveredOrder();
  const body = { items: [{ product_id: 'mug-blue', quantity: 1 }], reason: 'it does not fit' };
  const { return_id } = unwrap(await admin.call('POST /api/orders/:id/returns', { params, body }));
  return { params: { id: return_id } };
}

async function approvedReturn(): Promise<Placeholders> {
  const real = await requestedReturn();
  unwrap(await admin.call('POST /api/returns/:id/approve', real));
  return real;
}

async function cancelledOrder(): Promise<Placeholders> {
  const real = await paidOrder();
  await admin.call('POST /api/orders/:id/cancel', { params: { id: real.params?.['id'] ?? '' } });
  return real;
}

async function account(): Promise<Placeholders> {
  const caller = await registerCustomer(system.urls.api);
  return { params: { id: caller.userId, customer_id: caller.userId }, token: tokenOf(caller) };
}

async function deadLetter(): Promise<Placeholders> {
  await publishUnprocessable(system.app('payments'), randomUUID());
  const list = await waitFor(
    'it is among the dead letters',
    () => admin.call('GET /api/admin/dead-letters'),
    { until: ({ ok, body }) => ok && body.items.length > 0 },
  );
  return { params: { id: (list.ok && list.body.items[0]?.dead_letter_id) || '' } };
}

const PLACEHOLDERS: Record<string, () => Promise<Placeholders>> = {
  getOrdersById: paidOrder,
  getOrdersByIdEvents: paidOrder,
  getOrdersByIdStream: cancelledOrder,
  postOrdersByIdCancel: paidOrder,
  putOrdersByIdStatus: paidOrder,
  postOrdersByIdReturns: deliveredOrder,
  getOrdersByIdReturns: deliveredOrder,
  getReturnsById: requestedReturn,
  postReturnsByIdApprove: requestedReturn,
  postReturnsByIdReject: requestedReturn,
  postReturnsByIdReceive: approvedReturn,
  postReturnsByIdCancel: requestedReturn,
  getPayments: async () => ({ query: `?order_id=${(await paidOrder()).params?.['order_id']}` }),
  getPaymentsLedgerByOrderId: paidOrder,
  postPaymentsByOrderIdRefund: deliveredOrder,
  postUsersToken: async () => {
    const caller = await registerCustomer(system.urls.api);
    const refresh_token = caller.call.tokens()?.refresh_token;
    return { body: (example) => ({ ...(example as object), refresh_token }) };
  },
  postUsersLogout: account,
  getUsersById: account,
  putUsersById: account,
  deleteUsersById: account,
  getCustomersByCustomerIdTotals: account,
  getAdminDeadLettersById: deadLetter,
  postAdminDeadLettersByIdRedrive: deadLetter,
};

describe('the OpenAPI document', () => {
  it('When every example is sent, then every response is as documented', async () => {
    const document = await documentAt<OpenApiDocument>('/openapi.json');
    const check = createOpenApiCheck(document);
    const sent: string[] = [];
    const failures: string[] = [];
    for (const [path, operations] of Object.entries(document.paths))
      for (const [method, operation] of Object.entries(operations)) {
        const { operationId, requestBody, responses, parameters = [] } = operation;
        const examples = Object.values(requestBody?.content['application/json']?.examples ?? {});
        for (const example of examples.length > 0 ? examples : [undefined]) {
          const real = (await PLACEHOLDERS[operationId]?.()) ?? {};
          const known: Record<string, string> = { product_id: 'mug-blue', ...real.params };
          const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => known[name] ?? '');
          const body = real.body ? real.body(example?.value) : example?.value;
          const response = await fetch(`${system.urls.api}${filled}${real.query ?? ''}`, {
            method: method.toUpperCase(),
            headers: {
              authorization: `Bearer ${real.token ?? tokenOf(admin)}`,
              ...(body === undefined ? {} : { 'content-type': 'application/json' }),
              ...(parameters.some(({ name }) => name === 'Idempotency-Key')
                ? { 'idempotency-key': randomUUID() }
                : {}),
            },
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
            signal: AbortSignal.timeout(20_000),
          });
          const text = await response.text();
          const documented = responses[String(response.status)];
          const type = response.headers.get('content-type')?.split(';')[0] ?? '';
          const schema = documented?.content?.[type]?.schema;
          const wrong = schema && check(schema, type.includes('json') ? JSON.parse(text) : text);
          const matchesDocument =
            response.ok && documented && (schema !== undefined) === (text !== '') && wrong === undefined;
          if (!matchesDocument) failures.push(`${operationId}: ${response.status} ${text} ${wrong ?? ''}`);
          sent.push(operationId);
        }
      }
    expect(failures).toEqual([]);
    expect(new Set(sent).size).toBe(Object.values(document.paths).flatMap(Object.keys).length);
    // All placeholders exist.
    expect(Object.keys(PLACEHOLDERS).filter((id) => !sent.includes(id))).toEqual([]);
  });
});

describe('the AsyncAPI document', () => {
  it('When orders, accounts and stock change, then every event on the broker is as documented', async () => {
    const { channels, components } = await documentAt<AsyncApiDocument>('/asyncapi.json');
    const check = createAsyncApiCheck();
    const customer = await registerCustomer(system.urls.api);
    const declined = await placeOrder(customer, { card: 'tok_chargeDeclined' });
    const limited = await placeOrder(customer, { product: 'tea-green', quantity: 10_000 });
    await waitForStatus(customer, declined.orderId, 'PAYMENT_FAILED');
    await waitForStatus(customer, limited.orderId, 'REJECTED');

    const redis = createRedis({ url: `redis://127.0.0.1:${portsAt(OFFSET).redis}` });
    await redis.connect();
    const seen: string[] = [];
    const failures: string[] = [];
    for (const [type, { address }] of Object.entries(channels)) {
      const entries = (await redis.xRange(address, '-', '+')) ?? [];
      const events = entries
        .map(({ message }) => JSON.parse(message['data'] ?? '{}') as Json)
        // What the test itself has put there.
        .filter(({ source }) => source !== 'test');
      for (const event of events) {
        const wrong = check(components.messages[type]!.payload, event);
        if (wrong) failures.push(`${wrong}: ${JSON.stringify(event)}`);
      }
      if (events.length > 0) seen.push(type);
    }
    redis.destroy();
    expect(failures).toEqual([]);
    expect(seen).toEqual(
      expect.arrayContaining([
        'orders.changed',
        'order.created',
        'payment.requested',
        'order.paid',
        'order.payment_failed',
        'order.rejected',
        'order.shipped',
        'order.cancelled',
        'inventory.reserved',
        'inventory.rejected',
        'payment.processed',
        'payment.failed',
        'shipment.stopped',
        'user.registered',
        'user.updated',
        'user.deleted',
      ]),
    );
  });
});

describe('the gRPC API, by grpcurl', () => {
  interface Call {
    code: number;
    output: string;
  }

  async function call(...args: string[]): Promise<Call> {
    const [options, [target, ...rest]] = [args.slice(0, -1), args.slice(-1)];
    try {
      const { stdout } = await promisify(execFile)(
        grpcurl,
        ['-plaintext', '-max-time', '15', ...options, system.urls.grpc, ...(target ? [target] : []), ...rest],
        { timeout: 20_000 },
      );
      return { code: 0, output: stdout };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, output: `${stdout}${stderr}` };
    }
  }
  const requested = (method: string, token: string, message: unknown) =>
    call(
      '-H',
      `authorization: Bearer ${token}`,
      '-d',
      JSON.stringify(message),
      `sidecart.v1.OrderService/${method}`,
    );
  const parsed = ({ output }: Call) => JSON.parse(output) as Json;

  it('When a client has no token, then reflection and health list the services', async () => {
    const listed = await call('list');
    expect(listed.output.trim().split('\n')).toEqual(
      expect.arrayContaining(['grpc.health.v1.Health', 'sidecart.v1.OrderService']),
    );
    await waitFor(
      'it serves',
      () => call('-d', '{"service": "sidecart.v1.OrderService"}', 'grpc.health.v1.Health/Check'),
      { until: ({ output }) => output.includes('SERVING') && !output.includes('NOT_SERVING') },
    );
  });

  it('When an order is placed, watched and cancelled, then it is the same order as in REST', async () => {
    const customer = await registerCustomer(system.urls.api);
    const token = tokenOf(customer);
    const created = parsed(
      await requested('CreateOrder', token, {
        items: [{ product_id: 'mug-blue', quantity: 2 }],
        payment: { method: 'card', card_token: 'tok_visa' },
      }),
    );
    const orderId = String(created['order_id']);
    await waitForStatus(customer, orderId, 'PAID');
    const received = parsed(await requested('GetOrder', token, { order_id: orderId }));
    expect(received).toMatchObject({
      order_id: orderId,
      status: 'ORDER_STATUS_PAID',
      customer_id: customer.userId,
    });
    const watching = requested('WatchOrder', token, { order_id: orderId });
    const cancelled = parsed(
      await requested('CancelOrder', token, { order_id: orderId, reason: 'enough mugs' }),
    );
    expect(cancelled).toMatchObject({ status: 'ORDER_STATUS_CANCELLED', reason: 'enough mugs' });
    const { output } = await watching;
    expect([...output.matchAll(/"type": "([\w.]+)"/g)].map(([, type]) => type)).toEqual([
      'order.created',
      'payment.requested',
      'order.paid',
      'order.cancelled',
    ]);
    const rest = await createClient(system.urls.api, { access_token: token })('GET /api/orders/:id', {
      params: { id: orderId },
    });
    expect(rest.body).toMatchObject({ status: 'CANCELLED', total: Number(received['total']) });
  });

  it.each([
    ['there is no token', '', { order_id: randomUUID() }, 'Code: Unauthenticated'],
    ['the order is not the caller’s', undefined, { order_id: randomUUID() }, 'Code: NotFound'],
    ['the order has no lines', undefined, { items: [] }, 'Code: InvalidArgument'],
  ])('When %s, then the status has the details', async (_, token, message, code) => {
    const method = 'items' in message ? 'CreateOrder' : 'GetOrder';
    const { output } = await requested(method, token ?? tokenOf(admin), message);
    expect(output).toContain(code);
    expect(output).toContain('google.rpc.ErrorInfo');
  });
});

describe('the state stores', () => {
  const keyForms = (state: Readonly<Record<string, unknown>>) =>
    [...Object.keys(state), 'idempotency:{operation}'].map(
      (form) => new RegExp(`^${form.replaceAll(/\{[^}]*\}/g, '.+')}$`),
    );

  it.each(
    SERVICES.filter(({ uses }) => uses.includes('state')).map(({ name, state }) => [name, state] as const),
  )('When %s has a document, then its api.ts describes the key', (name, state) => {
    const database = openSqlite(join(dataDir, 'state', `${name}.db`), { readOnly: true });
    const rows = database.prepare('SELECT key FROM state').all() as { key: string }[];
    database.close();
    expect(rows.length).toBeGreaterThan(0);
    const keys = rows.map(({ key }) => key.replace(`${name}||`, ''));
    expect(keys.filter((key) => !keyForms(state).some((form) => form.test(key)))).toEqual([]);
  });
});
