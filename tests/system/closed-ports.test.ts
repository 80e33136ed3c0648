import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findChromium } from '../support/chromium.ts';
import { root } from '../../deploy/local/machine/paths.ts';
import { secretsEnv, readTokens } from '../../deploy/local/configuration/secrets.ts';
import { createRemoteHost } from '../faults/remote-host.ts';
import { mailsTo } from '../support/mails.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { registerCustomer, placeOrder, waitForStatus, type Caller } from '../support/shop.ts';
import { commandOf, descendantsOf, environmentOf, listenersOf } from '../support/sockets.ts';
import { startWithDaprRun, startWithNpm, type StartedSystem } from '../support/started-system.ts';
import { waitFor } from '../support/wait.ts';

const scratch = mkdtempSync(join(tmpdir(), 'sidecart-doors-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The host name of the page of another origin. */
const OTHER_HOST = 'stranger.example';
const ORDER = '01940f8e-5b1c-7c3e-9d41-2b8a6e0f4c11';

interface UnauthorizedCall {
  description: string;
  port: number;
  path: string;
  /** Undefined for a request that only reads. */
  body?: string;
}

describe.each([
  ['npm start', startWithNpm, PORT_OFFSETS.npmStart],
  ['dapr run -f', startWithDaprRun, PORT_OFFSETS.daprRun],
])('a system that was started by %s', (_how, startSystem, offset) => {
  let system: StartedSystem;
  let customer: Caller;
  let calls: UnauthorizedCall[];

  beforeAll(async () => {
    system = await startSystem(offset, scratch);
    customer = await registerCustomer(system.api);
    calls = unauthorizedCalls(system);
  });
  afterAll(() => system?.stop());

  it('When its sockets are listed, then each is known, and only this machine reaches it', () => {
    const known = knownPorts(system);
    const listeners = system.roots.flatMap(listenersOf);
    const unexpected = listeners.filter(
      ({ address, port }) =>
        !known.has(port) || (!['127.0.0.1', '::1'].includes(address) && !openPorts(system).includes(port)),
    );
    expect(unexpected).toEqual([]);
    const seen = new Set(listeners.map(({ port }) => port));
    expect([...known].filter((port) => !seen.has(port))).toEqual([]);
  });

  it('When a client calls without a token, or with another host name, then every port rejects it', async () => {
    for (const host of ['localhost', OTHER_HOST])
      for (const call of calls)
        expect(await send(call, host), `${call.description}, Host: ${host}`).toBe(401);
  });

  it('When a web page of another origin calls, then all calls are rejected and nothing changes', async () => {
    const { orderId } = await placeOrder(customer, { card: 'tok_slow' });
    await waitForStatus(customer, orderId, 'RESERVED');
    const page = await callFromOtherOrigin(calls, orderId);
    // The control: the page does send its requests, because its own server gets one.
    expect(page.control).toEqual(['POST text/plain;charset=UTF-8']);
    // Each request was sent to two host names.
    expect(page.answers).toEqual(
      Object.fromEntries(calls.map(({ description }) => [description, [401, 401]])),
    );
    expect(await mailsTo(system.mails, 'victim@example.com')).toEqual([]);
    const before = await customer.call('GET /api/users/:id', { params: { id: customer.userId } });
    expect(before.body).toMatchObject({ role: 'customer' });
    await waitForStatus(customer, orderId, 'DELIVERED', 40_000);
  });

  const remoteHost = createRemoteHost(offset / 1000);
  afterAll(() => remoteHost?.remove());

  // Network namespaces need root.
  it.runIf(remoteHost)('When another machine tries every port, then no port responds', async () => {
    const ports = [...knownPorts(system)];
    const probe = join(root, 'tests/support/probe-ports.mjs');
    const { enter } = remoteHost!.host;
    const [program = '', ...args] = [
      ...enter,
      process.execPath,
      probe,
      remoteHost!.address,
      ...ports.map(String),
    ];
    const { stdout, status } = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000 });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual(Object.fromEntries(openPorts(system).map((port) => [port, ''])));
  });

  it('When a developer follows the README, then the sidecars respond', async () => {
    const readme = readFileSync(join(root, 'deploy/local/README.md'), 'utf8');
    const [, section = ''] = readme.split('## Through a sidecar');
    const [, lines = ''] = /```sh\n([\s\S]*?)```/.exec(section) ?? [];
    const shifted = lines.replaceAll(/(?<=localhost:)\d+/g, (port) => String(Number(port) + offset));
    const { stdout, status } = spawnSync('sh', ['-eu', '-c', shifted], {
      cwd: root,
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, ...secretsEnv(system.dataDir) },
    });
    expect(status).toBe(0);
    expect(stdout).toContain('"id":"orders"');
    expect(stdout).toContain('"product_id":"mug-blue"');
    expect(stdout).toContain('HTTP/1.1 204');
  });

  it('When a service or its sidecar runs, then it has only its own tokens', () => {
    const owners = system.template.apps.map(({ appID }) => ({
      appID,
      tokens: Object.values(readTokens(system.dataDir, appID)),
    }));
    expect(new Set(owners.flatMap(({ tokens }) => tokens)).size).toBe(2 * owners.length);
    const seen = system.roots.flatMap(descendantsOf).map((pid) => {
      const [command, environment] = [commandOf(pid), environmentOf(pid)];
      const ownersOfFoundTokens = owners.filter(({ tokens }) =>
        tokens.some((token) => environment.includes(token)),
      );
      const isOf = ({ appID }: (typeof owners)[number]) =>
        command.includes(`--app-id ${appID} `) || command.includes(`services/${appID}/main.js`);
      return {
        command,
        ownersOfFoundTokens: ownersOfFoundTokens.map(({ appID }) => appID),
        hasOwn: owners.filter(isOf).map(({ appID }) => appID),
      };
    });
    expect(
      seen.filter(({ ownersOfFoundTokens, hasOwn }) => String(ownersOfFoundTokens) !== String(hasOwn)),
    ).toEqual([]);
    expect(seen.filter(({ hasOwn }) => hasOwn.length === 1)).toHaveLength(2 * owners.length);
  });
});

/** The ports that cannot be closed: services/decisions/0001-closed-ports.md. */
const openPorts = ({ ports }: StartedSystem) => [ports.schedulerHealth, ports.placementHealth];

/** Ports of parts that only profiles and options have. */
const OPTIONAL_PORTS = new Set(['nats', 'postgres', 'consul', 'consulServer', 'consulGossip', 'prometheus']);

function knownPorts({ ports, template }: StartedSystem): Set<number> {
  const parts = Object.entries(ports).filter(([name]) => !OPTIONAL_PORTS.has(name));
  return new Set([
    ...parts.map(([, port]) => port),
    ...template.apps.flatMap((app) => [
      app.appPort,
      app.daprHTTPPort,
      app.daprGRPCPort,
      app.daprInternalGRPCPort,
      app.metricsPort,
    ]),
  ]);
}

/** Requests that succeed in a system without tokens. */
function unauthorizedCalls({ template }: StartedSystem): UnauthorizedCall[] {
  const app = (name: string) => template.apps.find(({ appID }) => appID === name)!;
  const sidecar = (name: string) => app(name).daprHTTPPort;
  const event = (type: string) =>
    JSON.stringify({
      specversion: '1.0',
      id: 'forged',
      source: 'payments',
      type,
      subject: ORDER,
      time: '2026-01-05T09:30:00Z',
      datacontenttype: 'application/json',
      data: { order_id: ORDER, payment_id: ORDER },
    });
  const mail = { operation: 'create', data: 'spam', metadata: { emailTo: 'victim@example.com' } };
  const admin = [{ key: `user:${ORDER}`, value: { user_id: ORDER, role: 'admin' } }];
  return [
    {
      description: 'pay an order by a raw message',
      port: sidecar('payments'),
      path: '/v1.0/publish/pubsub/payment.processed?metadata.rawPayload=true',
      body: event('payment.processed'),
    },
    {
      description: 'pay an order by an event',
      port: sidecar('payments'),
      path: '/v1.0/publish/pubsub/payment.processed',
      body: event('payment.processed'),
    },
    {
      description: 'pay an order past the sidecar',
      port: app('orders').appPort,
      path: '/events/payment.processed',
      body: event('payment.processed'),
    },
    {
      description: 'become an administrator',
      port: sidecar('users'),
      path: '/v1.0/state/statestore',
      body: JSON.stringify(admin),
    },
    {
      description: 'send mail',
      port: sidecar('notifications'),
      path: '/v1.0/bindings/email',
      body: JSON.stringify(mail),
    },
    { description: 'end a sidecar', port: sidecar('history'), path: '/v1.0/shutdown', body: '' },
    {
      description: 'read the signing keys',
      port: sidecar('users'),
      path: '/v1.0/state/statestore/signing-keys',
    },
    {
      description: 'list all accounts',
      port: sidecar('gateway'),
      path: '/v1.0/invoke/users/method/api/users',
    },
    { description: 'read the metadata', port: sidecar('orders'), path: '/v1.0/metadata' },
    { description: 'list all accounts past the sidecar', port: app('users').appPort, path: '/api/users' },
  ];
}

/** The status of the response. */
function send({ port, path, body }: UnauthorizedCall, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { host: `${host}:${port}`, 'content-type': 'text/plain', 'x-caller-role': 'admin' };
    const method = body === undefined ? 'GET' : 'POST';
    const asking = request({ port, host: '127.0.0.1', path, method, headers, timeout: 10_000 }, (res) => {
      res.resume();
      resolve(res.statusCode);
    });
    asking.once('error', reject);
    asking.end(body);
  });
}

/**
 * Opens a page of another origin in a real browser. The page sends these requests without a preflight, to `localhost` and,
 * as after DNS rebinding, to its own host name.
 */
async function callFromOtherOrigin(calls: UnauthorizedCall[], orderId: string) {
  const control: string[] = [];
  const server: Server = createServer((req, res) => {
    if (req.method === 'POST') control.push(`${req.method} ${req.headers['content-type']}`);
    res.setHeader('content-type', 'text/html').end('<!doctype html><title>stranger</title>');
  }).listen(0, '127.0.0.1');
  await waitFor('the page is served', () => server.listening);
  const { port } = server.address() as AddressInfo;
  let browser: Browser | undefined;
  try {
    browser = await chromium.launch({
      executablePath: findChromium() ?? 'chromium',
      args: [
        '--no-sandbox',
        '--disable-quic',
        '--disable-background-networking',
        '--disable-component-update',
        `--host-resolver-rules=MAP ${OTHER_HOST} 127.0.0.1`,
      ],
    });
    const page = await browser.newPage();
    const answers: Record<string, number[]> = {};
    const named = (url: string) =>
      calls.find((call) => new URL(url).port === String(call.port) && url.endsWith(call.path));
    page.on('response', (response) => {
      const call = named(response.url());
      if (call) answers[call.description] = [...(answers[call.description] ?? []), response.status()];
    });
    await page.goto(`http://${OTHER_HOST}:${port}/`);
    const sent = calls.flatMap(({ port: at, path, body }) =>
      ['localhost', OTHER_HOST].map((host) => ({
        url: `http://${host}:${at}${path}`,
        body: body?.replaceAll(ORDER, orderId),
      })),
    );
    await page.evaluate(
      async (requests) => {
        for (const { url, body } of requests) {
          const how = { mode: 'no-cors' as const };
          await fetch(url, body === undefined ? how : { ...how, method: 'POST', body }).catch(() => {});
        }
      },
      [...sent, { url: `http://${OTHER_HOST}:${port}/`, body: 'control' }],
    );
    await waitFor('the browser has seen all answers', () => Object.values(answers).flat().length, {
      until: (count) => count === 2 * calls.length,
    });
    return { control, answers };
  } finally {
    await browser?.close();
    server.closeAllConnections();
    server.close();
  }
}
