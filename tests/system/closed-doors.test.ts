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

/** Where the browser finds the page of a stranger. */
const STRANGER = 'stranger.example';
const ORDER = '01940f8e-5b1c-7c3e-9d41-2b8a6e0f4c11';

interface Attack {
  what: string;
  port: number;
  path: string;
  /** Not given: it reads. */
  body?: string;
}

describe.each([
  ['npm start', startWithNpm, PORT_OFFSETS.npmStart],
  ['dapr run -f', startWithDaprRun, PORT_OFFSETS.daprRun],
])('A system that was started by %s', (_how, startIt, offset) => {
  let system: StartedSystem;
  let customer: Caller;
  let attacks: Attack[];

  beforeAll(async () => {
    system = await startIt(offset, scratch);
    customer = await registerCustomer(system.api);
    attacks = attacksOn(system);
  });
  afterAll(() => system?.stop());

  it('When its sockets are listed, then each is one that we know, and only this machine reaches it', () => {
    const known = knownPorts(system);
    const listeners = system.roots.flatMap(listenersOf);
    const strange = listeners.filter(
      ({ address, port }) =>
        !known.has(port) || (!['127.0.0.1', '::1'].includes(address) && port !== leftOpen(system)),
    );
    expect(strange).toEqual([]);
    const seen = new Set(listeners.map(({ port }) => port));
    expect([...known].filter((port) => !seen.has(port))).toEqual([]);
  });

  it('When a stranger asks without a token, or under another host name, then it is refused everywhere', async () => {
    for (const host of ['localhost', STRANGER])
      for (const attack of attacks)
        expect(await ask(attack, host), `${attack.what}, Host: ${host}`).toBe(401);
  });

  it('When a web page of a stranger sends the same, then all of it is refused and nothing has happened', async () => {
    const { orderId } = await placeOrder(customer, { card: 'tok_slow' });
    await waitForStatus(customer, orderId, 'RESERVED');
    const page = await strangersPage(attacks, orderId);
    // The page does get its requests out: its own server has one like them.
    expect(page.control).toEqual(['POST text/plain;charset=UTF-8']);
    // Each was sent to two names.
    expect(page.answers).toEqual(Object.fromEntries(attacks.map(({ what }) => [what, [401, 401]])));
    expect(await mailsTo(system.mails, 'victim@example.com')).toEqual([]);
    const before = await customer.call('GET /api/users/:id', { params: { id: customer.userId } });
    expect(before.body).toMatchObject({ role: 'customer' });
    await waitForStatus(customer, orderId, 'DELIVERED', 40_000);
  });

  const far = createRemoteHost(offset / 1000);
  afterAll(() => far?.remove());

  // Network namespaces need root.
  it.runIf(far)('When another machine tries every port, then nothing answers', async () => {
    const ports = [...knownPorts(system)];
    const reach = join(root, 'tests/support/probe-ports.mjs');
    const { enter } = far!.host;
    const [program = '', ...args] = [...enter, process.execPath, reach, far!.address, ...ports.map(String)];
    const { stdout, status } = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000 });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ [leftOpen(system)]: '' });
  });

  it('When a person does what the README says, then the sidecars answer', async () => {
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

  it('When a service or its sidecar runs, then with its own tokens and no others', () => {
    const owners = system.template.apps.map(({ appID }) => ({
      appID,
      tokens: Object.values(readTokens(system.dataDir, appID)),
    }));
    expect(new Set(owners.flatMap(({ tokens }) => tokens)).size).toBe(2 * owners.length);
    const seen = system.roots.flatMap(descendantsOf).map((pid) => {
      const [command, environment] = [commandOf(pid), environmentOf(pid)];
      const holds = owners.filter(({ tokens }) => tokens.some((token) => environment.includes(token)));
      const isOf = ({ appID }: (typeof owners)[number]) =>
        command.includes(`--app-id ${appID} `) || command.includes(`services/${appID}/main.js`);
      return {
        command,
        holds: holds.map(({ appID }) => appID),
        owns: owners.filter(isOf).map(({ appID }) => appID),
      };
    });
    expect(seen.filter(({ holds, owns }) => String(holds) !== String(owns))).toEqual([]);
    expect(seen.filter(({ owns }) => owns.length === 1)).toHaveLength(2 * owners.length);
  });
});

/** The one that cannot be closed: services/decisions/0001-closed-ports.md. */
const leftOpen = ({ ports }: StartedSystem) => ports.schedulerHealth;

/** Of parts that only a profile has. */
const OF_PROFILES = new Set(['nats', 'postgres', 'consul', 'consulServer', 'consulGossip']);

function knownPorts({ ports, template }: StartedSystem): Set<number> {
  const parts = Object.entries(ports).filter(([name]) => !OF_PROFILES.has(name));
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

/** What a stranger tried with success before there were tokens. */
function attacksOn({ template }: StartedSystem): Attack[] {
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
      what: 'pay an order by a raw message',
      port: sidecar('payments'),
      path: '/v1.0/publish/pubsub/payment.processed?metadata.rawPayload=true',
      body: event('payment.processed'),
    },
    {
      what: 'pay an order by an event',
      port: sidecar('payments'),
      path: '/v1.0/publish/pubsub/payment.processed',
      body: event('payment.processed'),
    },
    {
      what: 'pay an order past the sidecar',
      port: app('orders').appPort,
      path: '/events/payment.processed',
      body: event('payment.processed'),
    },
    {
      what: 'become an administrator',
      port: sidecar('users'),
      path: '/v1.0/state/statestore',
      body: JSON.stringify(admin),
    },
    {
      what: 'send mail',
      port: sidecar('notifications'),
      path: '/v1.0/bindings/email',
      body: JSON.stringify(mail),
    },
    { what: 'end a sidecar', port: sidecar('history'), path: '/v1.0/shutdown', body: '' },
    { what: 'read the signing keys', port: sidecar('users'), path: '/v1.0/state/statestore/signing-keys' },
    { what: 'list all accounts', port: sidecar('gateway'), path: '/v1.0/invoke/users/method/api/users' },
    { what: 'read the metadata', port: sidecar('orders'), path: '/v1.0/metadata' },
    { what: 'list all accounts past the sidecar', port: app('users').appPort, path: '/api/users' },
  ];
}

/** The status that is answered. */
function ask({ port, path, body }: Attack, host: string): Promise<number | undefined> {
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
 * Opens a page of another origin in a real browser, which sends these requests as any page may, without asking first, to
 * `localhost` and, as after DNS rebinding, to the page's own name.
 */
async function strangersPage(attacks: Attack[], orderId: string) {
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
        `--host-resolver-rules=MAP ${STRANGER} 127.0.0.1`,
      ],
    });
    const page = await browser.newPage();
    const answers: Record<string, number[]> = {};
    const named = (url: string) =>
      attacks.find((attack) => new URL(url).port === String(attack.port) && url.endsWith(attack.path));
    page.on('response', (response) => {
      const attack = named(response.url());
      if (attack) answers[attack.what] = [...(answers[attack.what] ?? []), response.status()];
    });
    await page.goto(`http://${STRANGER}:${port}/`);
    const sent = attacks.flatMap(({ port: at, path, body }) =>
      ['localhost', STRANGER].map((host) => ({
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
      [...sent, { url: `http://${STRANGER}:${port}/`, body: 'control' }],
    );
    await waitFor('the browser has seen all answers', () => Object.values(answers).flat().length, {
      until: (count) => count === 2 * attacks.length,
    });
    return { control, answers };
  } finally {
    await browser?.close();
    server.closeAllConnections();
    server.close();
  }
}
