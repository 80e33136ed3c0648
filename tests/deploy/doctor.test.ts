import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { portsAt } from '../../deploy/local/configuration/ports.ts';
import type { CheckedSystem } from '../../deploy/local/doctor/checked-system.ts';
import type { Finding } from '../../deploy/local/doctor/finding.ts';
import { checkOrders } from '../../deploy/local/doctor/orders.ts';
import { checkPorts } from '../../deploy/local/doctor/machine.ts';
import { checkClocks, checkServices } from '../../deploy/local/doctor/services.ts';
import { checkSidecars } from '../../deploy/local/doctor/sidecars.ts';
import { ACCESS } from '../../services/access.ts';

/** Findings about faults that are hard to cause in a real system (tests/system/doctor.test.ts). One server is service, sidecar and API. */

/** `isCut`: the connection ends without a response. */
type Responses = Record<
  string,
  { status?: number; headers?: Record<string, string>; body?: unknown; isCut?: true }
>;

let server: Server;
let dataDir: string;
let responses: Responses;
let system: CheckedSystem;

const subscriptions = (app: string) =>
  ACCESS.find((one) => one.app === app)?.subscribes.map(({ name: topic }) => ({ topic })) ?? [];
const METADATA = {
  runtimeVersion: '1.18.2',
  components: ['pubsub', 'broadcast', 'statestore', 'settings'].map((name) => ({ name })),
  subscriptions: subscriptions('orders'),
  scheduler: { connected_addresses: ['localhost:50006'] },
};

beforeEach(async () => {
  responses = {
    '/healthz': { body: { status: 'ok' } },
    '/readyz': { body: { status: 'ok' } },
    '/v1.0/healthz': { body: '' },
    '/v1.0/metadata': { body: METADATA },
    '/api/admin/orders': { body: { items: [], next_cursor: null } },
    '/api/admin/dead-letters': { body: { items: [], next_cursor: null } },
  };
  server = createServer((req, res) => {
    const response = responses[(req.url ?? '').split('?')[0] ?? ''];
    if (response?.isCut) return void req.socket.destroy();
    res.writeHead(response?.status ?? (response ? 200 : 404), {
      'content-type': 'application/json',
      ...response?.headers,
    });
    res.end(JSON.stringify(response?.body ?? {}));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  dataDir = mkdtempSync(join(tmpdir(), 'sidecart-doctor-'));
  mkdirSync(join(dataDir, 'secrets'));
  writeFileSync(join(dataDir, 'secrets/orders.env'), 'DAPR_API_TOKEN=one\nAPP_API_TOKEN=two\n');
  system = {
    apps: [{ name: 'orders', appPort: port, readyPort: port, daprHttpPort: port, daprPorts: [port] }],
    // No part of the infrastructure listens there.
    ports: { ...portsAt(0), scheduler: 1, placement: 1, grpc: 1, smtp: 1, zipkin: 1 },
    profile: undefined,
    dataDir,
    api: `http://127.0.0.1:${port}`,
    admin: { accessToken: 'token' },
  };
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
  rmSync(dataDir, { recursive: true, force: true });
});

const problemsIn = (findings: readonly Finding[]) =>
  findings.filter(({ status }) => status === 'problem').map(({ check, message }) => `${check}: ${message}`);

describe('the services', () => {
  it('When they respond as they should, then nothing is wrong', async () => {
    expect(problemsIn([...(await checkServices(system)), ...(await checkClocks(system))])).toEqual([]);
  });

  it('When another program has the port, then it is named', async () => {
    responses['/healthz'] = { body: 'hello' };
    expect(problemsIn(await checkServices(system))).toEqual([
      expect.stringMatching(/^services: Port \d+ of orders belongs to another program: .*process \d+/),
    ]);
  });

  it('When a service is not ready, then its reason is passed on', async () => {
    responses['/readyz'] = { status: 503, body: { detail: 'The sidecar is not ready.' } };
    expect(problemsIn(await checkServices(system))).toEqual([
      'services: orders is not ready: The sidecar is not ready.',
    ]);
  });

  it('When a circuit breaker is open, then its target is named', async () => {
    responses['/readyz'] = { body: { status: 'ok', open_breakers: ['pubsub'] } };
    expect(problemsIn(await checkServices(system))).toEqual([
      'services: The sidecar of orders has stopped calling pubsub: its circuit breaker is open.',
    ]);
  });

  it.each([
    ['ahead of', 60],
    ['behind', -60],
  ])("When a clock is %s this machine's, then the difference is stated", async (relation, seconds) => {
    const date = new Date(Date.now() + seconds * 1_000).toUTCString();
    responses['/healthz'] = { headers: { date }, body: { status: 'ok' } };
    expect(problemsIn(await checkClocks(system))).toEqual([
      expect.stringMatching(`clocks: The clock of orders is (59|60) s ${relation} this machine's clock.`),
    ]);
  });
});

describe('the sidecars', () => {
  const problems = async () =>
    problemsIn(await checkSidecars(system)).filter((one) => !/^(scheduler|placement)/.test(one));

  it('When they have loaded everything, then nothing is wrong', async () => {
    expect(await problems()).toEqual([]);
  });

  it('When the scheduler and placement are unavailable, then their ports are named', async () => {
    expect(problemsIn(await checkSidecars(system))).toEqual([
      "scheduler: Dapr's scheduler does not respond on port 1.",
      "placement: Dapr's placement does not respond on port 1.",
    ]);
  });

  it('When a sidecar is not healthy, then its reason is passed on', async () => {
    responses['/v1.0/healthz'] = { status: 500, body: { message: 'dapr is not ready' } };
    expect(await problems()).toEqual([
      'sidecars: The sidecar of orders is not healthy: {"message":"dapr is not ready"}',
    ]);
  });

  it.each<[what: string, response: Responses[string], message: RegExp]>([
    ['gives no answer', { isCut: true }, /does not respond on port \d+\.$/],
    ['rejects the token', { status: 401 }, /does not accept the token of this system\.$/],
  ])('When a healthy sidecar %s, then that is the problem', async (_what, response, message) => {
    responses['/v1.0/metadata'] = response;
    expect(await problems()).toEqual([expect.stringMatching(message)]);
  });

  it('When a component is missing, then it is named', async () => {
    const components = METADATA.components.filter(({ name }) => name !== 'settings');
    responses['/v1.0/metadata'] = { body: { ...METADATA, components } };
    expect(await problems()).toEqual([
      'components: The sidecar of orders has not loaded the component settings.',
    ]);
  });

  it('When a subscription is missing, then it is named', async () => {
    responses['/v1.0/metadata'] = { body: { ...METADATA, subscriptions: METADATA.subscriptions.slice(1) } };
    expect(await problems()).toEqual([
      `subscriptions: The sidecar of orders has not subscribed to ${METADATA.subscriptions[0]?.topic}.`,
    ]);
  });

  it('When the sidecar has another token, then it belongs to another system', async () => {
    responses['/v1.0/metadata'] = { status: 401, body: {} };
    expect(await problems()).toEqual([
      'sidecars: The sidecar of orders does not accept the token of this system.',
    ]);
  });

  it('When a port is open to other machines, then it is named', async () => {
    const open = createServer();
    await new Promise<void>((resolve) => void open.listen(0, '0.0.0.0', resolve));
    const { port } = open.address() as AddressInfo;
    const apps = system.apps.map((app) => ({ ...app, daprPorts: [...app.daprPorts, port] }));
    const found = problemsIn(await checkPorts({ ...system, apps }));
    open.close();
    expect(found.filter((one) => one.includes('open'))).toEqual([
      `ports: Port ${port} of the sidecar of orders is open to other machines.`,
    ]);
  });
});

describe('orders and dead letters', () => {
  it('When orders are stuck, then each status has its number, the first order and the service to see', async () => {
    const order = { order_id: 'a1', status: 'RESERVED', updated_at: '2026-01-05T09:30:00.000Z' };
    responses['/api/admin/orders'] = {
      body: { items: [order, { ...order, order_id: 'a2' }, { ...order, status: 'PAID' }], next_cursor: null },
    };
    const findings = await checkOrders(system);
    expect(problemsIn(findings)).toEqual([
      'orders: No progress of 2 orders in status RESERVED, the first since 2026-01-05T09:30:00.000Z (a1).',
      'orders: No progress of one order in status PAID, the first since 2026-01-05T09:30:00.000Z (a1).',
    ]);
    expect(findings[0]?.advice).toMatch(/^They wait for payments\. /);
  });

  it('When dead letters were redriven, then only the others are a problem', async () => {
    const letter = {
      dead_letter_id: 'f1',
      type: 'order.paid',
      received_at: '2026-01-05T09:30:00.000Z',
      redriven: 0,
    };
    responses['/api/admin/dead-letters'] = {
      body: { items: [letter, { ...letter, redriven: 1 }], next_cursor: 'more' },
    };
    expect(problemsIn(await checkOrders(system))).toEqual([
      'dead letters: No handler could process 1 or more messages of order.paid, the newest at 2026-01-05T09:30:00.000Z (f1).',
    ]);
  });

  it('When the password of the administrator has changed, then both checks are skipped with instructions', async () => {
    responses['/api/users/login'] = { status: 401, body: { detail: 'wrong' } };
    const findings = await checkOrders({ ...system, admin: { email: 'a@b.example', password: 'old' } });
    expect(findings.map(({ check, status }) => [check, status])).toEqual([
      ['orders', 'skipped'],
      ['dead letters', 'skipped'],
    ]);
    expect(findings[0]?.message).toContain('SIDECART_ACCESS_TOKEN');
  });

  it('When the API fails, then that is the problem', async () => {
    responses['/api/admin/orders'] = {
      status: 503,
      headers: { 'content-type': 'application/problem+json' },
      body: { detail: 'Try again later.' },
    };
    expect(problemsIn(await checkOrders(system))).toEqual([
      'orders: Stuck orders and dead letters are unknown: The API answered 503: Try again later.',
    ]);
  });
});
