import { randomBytes, randomUUID } from 'node:crypto';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { portsAt } from '../../deploy/local/configuration/ports.ts';
import { readOutput } from '../../deploy/local/machine/processes.ts';
import { readTokens } from '../../deploy/local/configuration/secrets.ts';
import { startSystem, type RunningSystem } from '../../deploy/local/system/system.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { unwrap, createClient } from '../../services/gateway/client/client.ts';
import { routes } from '../../services/gateway/routes.ts';
import { ACCESS } from '../../services/access.ts';
import { SERVICES } from '../../services/services.ts';
import { callSidecar } from '../support/real-sidecar.ts';
import { findOrBuildGrpcurl } from '../support/grpcurl.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';
import { login, placeOrder, waitForStatus, type Caller } from '../support/shop.ts';
import { commandOf, descendantsOf, environmentOf } from '../support/sockets.ts';
import { NO_RATE_LIMITS } from '../support/no-rate-limits.ts';
import { waitFor } from '../support/wait.ts';

/** Sends marked secrets to every route, and then searches all stored data for them. */

const OFFSET = PORT_OFFSETS.secrets;
const marked = (what: string) => `${what}-${randomBytes(9).toString('hex')}`;
const SECRETS = {
  password: marked('password'),
  'new password': marked('new'),
  'wrong password': marked('wrong'),
  // The only secret without a mark, because the provider approves only known cards.
  'card token of an order that is delivered': 'tok_twice',
  'card token of an order that is declined': marked('tok_declined'),
  'card token of an order that is rejected': marked('tok_rejected'),
  'card token of an order that is cancelled before it is paid': marked('tok_cancelled'),
  'card token of an order by gRPC': marked('tok_grpc'),
  'secret where none belongs': marked('stray'),
};
const MISPLACED = SECRETS['secret where none belongs'];
/** Data that is stored and published, but that operators must not see. */
const PERSONAL = {
  'e-mail address': `${marked('ada')}@example.com`,
  'new e-mail address': `${marked('lovelace')}@example.com`,
  name: marked('Ada'),
  'reason of a cancellation': marked('reason'),
  'secret in an event': marked('event'),
  'address in an event': `${marked('event')}@example.com`,
};

let system: RunningSystem;
let customer: Caller;
let admin: Caller;
/** All secrets, including issued tokens. */
const secrets = new Map<string, string>(Object.entries(SECRETS));
// SQLite connection strings are URIs: each of these characters could end the path.
const dataDir = mkdtempSync(join(tmpdir(), 'sidecart secrets #%?-'));

beforeAll(async () => {
  system = await startSystem({
    dataDir,
    portOffset: OFFSET,
    env: {
      gateway: NO_RATE_LIMITS,
      fulfilment: { SIMULATED_DISPATCH_DELAY_MS: '300', SIMULATED_DELIVERY_DELAY_MS: '300' },
    },
  });
  admin = await login(system.urls.api, system.admin.email, system.admin.password);
  secrets.set('password of the administrator', system.admin.password);
});
afterAll(async () => {
  await system?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Every file and folder below `directory`, without following links. */
const everything = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name));

/** The names of the secrets and personal data in what operators see. */
const visibleIn = (text: string | Buffer): string[] => [
  ...secretsIn(text),
  ...Object.entries(PERSONAL).flatMap(([name, value]) => (text.includes(value) ? [name] : [])),
];

/** The names of the secrets in a text. */
const secretsIn = (text: string | Buffer, but: readonly string[] = []): string[] =>
  [...secrets].filter(([name, secret]) => !but.includes(name) && text.includes(secret)).map(([name]) => name);

describe('a secret', () => {
  it('When users use their own, then everything works', async () => {
    const { 'e-mail address': email, 'new e-mail address': newEmail, name } = PERSONAL;
    const anonymous = createClient(system.urls.api);
    const { password } = SECRETS;
    unwrap(await anonymous('POST /api/users/register', { body: { email, password, name } }));
    const wrong = await anonymous('POST /api/users/login', {
      body: { email, password: SECRETS['wrong password'] },
    });
    expect(wrong.status).toBe(401);
    customer = await login(system.urls.api, email, password);
    keepTokens('first', customer);
    const changed = await customer.call('PUT /api/users/:id', {
      params: { id: customer.userId },
      body: { email: newEmail, password: SECRETS['new password'], current_password: password },
    });
    expect(changed.status).toBe(200);
    customer = await login(system.urls.api, newEmail, SECRETS['new password']);
    keepTokens('second', customer);

    const card = SECRETS['card token of an order that is delivered'];
    const delivered = await placeOrder(customer, { card });
    await waitForStatus(customer, delivered.orderId, 'DELIVERED');
    const declined = await placeOrder(customer, { card: SECRETS['card token of an order that is declined'] });
    await waitForStatus(customer, declined.orderId, 'PAYMENT_FAILED');
    const rejected = await placeOrder(customer, {
      card: SECRETS['card token of an order that is rejected'],
      quantity: 9_999,
    });
    await waitForStatus(customer, rejected.orderId, 'REJECTED');

    const payments = system.app('payments').service;
    await payments.stop();
    const late = SECRETS['card token of an order that is cancelled before it is paid'];
    const cancelled = await placeOrder(customer, { card: late });
    await waitForStatus(customer, cancelled.orderId, 'RESERVED');
    const params = { id: cancelled.orderId };
    const body = { reason: PERSONAL['reason of a cancellation'] };
    expect((await customer.call('POST /api/orders/:id/cancel', { params, body })).status).toBe(200);
    await payments.start();

    const { order_id: byGrpc } = await createByGrpc(SECRETS['card token of an order by gRPC']);
    await waitForStatus(customer, byGrpc, 'PAYMENT_FAILED');
  });

  it('When one is sent in the wrong place, to every route, then no request fails', async () => {
    for (const { method, path } of routes) {
      const address = path.replaceAll(/:\w+/g, randomUUID());
      const url = `${system.urls.api}${address}?access_token=${MISPLACED}&password=${MISPLACED}`;
      for (const authorization of [`Bearer ${MISPLACED}`, bearerOf(customer), bearerOf(admin)])
        for (const body of method === 'GET'
          ? [undefined]
          : [JSON.stringify(MISPLACED_BODY), `{"token":"${MISPLACED}"`]) {
          const response = await fetch(url, {
            method,
            headers: {
              authorization,
              cookie: `session=${MISPLACED}`,
              'idempotency-key': randomUUID(),
              ...(body ? { 'content-type': 'application/json' } : {}),
            },
            ...(body ? { body } : {}),
            signal: AbortSignal.timeout(10_000),
          });
          expect(response.status, `${method} ${path}`).toBeLessThan(500);
          expect(await response.text(), `${method} ${path}`).not.toContain(MISPLACED);
        }
    }
  });

  it('When events with misplaced secrets are published to every topic, then they are dead letters without secrets', async () => {
    const subscribed = new Set(ACCESS.flatMap(({ subscribes }) => subscribes.map(({ name }) => name)));
    const published = ACCESS.flatMap(({ app, publishes }) =>
      publishes
        .filter(({ component, name }) => component === 'pubsub' && name !== 'dead-letters')
        .map(({ name }) => ({ app, topic: name, id: randomUUID() })),
    );
    for (const { app, topic, id } of published) {
      const { status } = await callSidecar(system.app(app), `/v1.0/publish/pubsub/${topic}`, {
        method: 'POST',
        headers: { 'content-type': 'application/cloudevents+json' },
        body: JSON.stringify(misplacedEvent(app, topic, id)),
      });
      expect(status, `${topic} from ${app}`).toBe(204);
    }
    const expected = published.filter(({ topic }) => subscribed.has(topic)).map(({ id }) => id);
    const list = await waitFor('the dead letters', deadLetters, {
      until: (text) => expected.every((id) => text.includes(id)),
    });
    expect(visibleIn(list)).toEqual([]);
  });

  it('When metrics are scraped, then it is nowhere', async () => {
    const pages = readTemplate().apps.flatMap(({ appPort, metricsPort, env = {} }) => [
      `http://127.0.0.1:${env['OPERATOR_PORT'] === undefined ? appPort + OFFSET : portsAt(OFFSET).operator}/metrics`,
      `http://127.0.0.1:${metricsPort + OFFSET}/metrics`,
    ]);
    for (const page of pages) {
      const text = await (await fetch(page)).text();
      expect(text, `at ${page}`).toContain('# TYPE');
      expect(visibleIn(text), `at ${page}`).toEqual([]);
    }
  });

  it('When processes are inspected, then each has only the secrets that it needs', () => {
    const apps = readTemplate().apps.map(({ appID }) => appID);
    const tokens = new Map(apps.map((appID) => [appID, Object.values(readTokens(dataDir, appID))]));
    const seen = descendantsOf(process.pid)
      .map((pid) => ({ command: commandOf(pid), environment: environmentOf(pid) }))
      .filter(({ environment }) => environment.includes(dataDir));
    expect(seen.length).toBeGreaterThanOrEqual(2 * apps.length);
    const wrong = seen.filter(({ command, environment }) => {
      const isUsers = command.includes('services/users/main.js');
      const others = apps.filter(
        (appID) => !command.includes(`--app-id=${appID} `) && !command.includes(`services/${appID}/main.js`),
      );
      return (
        secretsIn(environment, isUsers ? ['password of the administrator'] : []).length > 0 ||
        others.some((appID) => tokens.get(appID)?.some((token) => environment.includes(token)))
      );
    });
    expect(wrong.map(({ command }) => command)).toEqual([]);
  });

  it('When traces, e-mails and the broker are searched, then it is nowhere', async () => {
    const { redis, zipkin } = portsAt(OFFSET);
    const traces = await waitFor(
      'the traces of all this are there',
      async () =>
        (await fetch(`http://127.0.0.1:${zipkin}/api/v2/traces?limit=10000&lookback=3600000`)).text(),
      { until: (text) => text.includes('POST /api/users/login') },
    );
    expect(visibleIn(traces)).toEqual([]);
    expect(secretsIn(await (await fetch(`${system.urls.mails}/email`)).text())).toEqual([]);
    const redisCli = (...args: string[]) => readOutput('redis-cli', '-p', String(redis), ...args) ?? '';
    const topics = redisCli('--scan')
      .trim()
      .split('\n')
      .filter((key) => redisCli('type', key).trim() === 'stream');
    expect(topics).toContain('payment.requested');
    const events = topics.map((topic) => redisCli('xrange', topic, '-', '+')).join('');
    expect(events).toContain('payment.requested');
    expect(secretsIn(events)).toEqual([]);
  });

  it('When the system has stopped, then no file has it, and no other user can read the files', async () => {
    await system.stop();
    const files = everything(dataDir).filter((path) => !lstatSync(path).isSymbolicLink());
    const isOpen = (path: string) => (lstatSync(path).mode & 0o077) !== 0;
    expect(files.filter(isOpen).map((path) => relative(dataDir, path))).toEqual([]);
    const databases = files.filter((path) => path.endsWith('.db') && path.startsWith(join(dataDir, 'state')));
    // Those of the services, and that of the workflows.
    const stateful = SERVICES.filter(({ uses }) => uses.includes('state'));
    expect(databases).toHaveLength(stateful.length + 1);
    const logs = files.filter((path) => path.startsWith(system.logDir) && path.endsWith('.log'));
    expect(logs.length).toBeGreaterThan(2 * readTemplate().apps.length);
    const seen = logs.map((path) => [relative(dataDir, path), visibleIn(readFileSync(path))] as const);
    expect(Object.fromEntries(seen.filter(([, names]) => names.length > 0))).toEqual({});
    const found = files
      .filter((path) => lstatSync(path).isFile() && path !== join(dataDir, 'admin.json'))
      .map((path) => [relative(dataDir, path), secretsIn(readFileSync(path))] as const)
      .filter(([, names]) => names.length > 0);
    expect(Object.fromEntries(found)).toEqual({});
  });
});

/** Fields with secret names, in places that no schema has. */
const MISPLACED_BODY = {
  password: MISPLACED,
  current_password: MISPLACED,
  card_token: MISPLACED,
  payment: { method: 'card', card_token: `${MISPLACED} ` },
  refresh_token: MISPLACED,
  authorization: MISPLACED,
  reason: { password: MISPLACED },
};

/** An event that no handler accepts, because its data has another form. */
const misplacedEvent = (source: string, type: string, id: string) => ({
  specversion: '1.0',
  id,
  source,
  type,
  subject: id,
  time: new Date().toISOString(),
  datacontenttype: 'application/json',
  data: {
    password: PERSONAL['secret in an event'],
    order: { payment: { card_token: PERSONAL['secret in an event'] } },
    user: { email: PERSONAL['address in an event'], name: PERSONAL.name },
    previous_email: PERSONAL['address in an event'],
    address: PERSONAL['address in an event'],
  },
});

/** All pages of the list, as text. */
async function deadLetters(): Promise<string> {
  const pages: string[] = [];
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor?: string } = { limit: 100, ...(cursor ? { cursor } : {}) };
    const page = unwrap(await admin.call('GET /api/admin/dead-letters', { query }));
    pages.push(JSON.stringify(page));
    cursor = page.next_cursor;
  } while (cursor !== null);
  return pages.join('');
}

const bearerOf = ({ call }: Caller) => `Bearer ${call.tokens()?.access_token}`;

function keepTokens(which: string, { call }: Caller): void {
  const { access_token: access, refresh_token: refresh } = call.tokens() ?? {};
  if (access) secrets.set(`${which} access token`, access);
  if (refresh) secrets.set(`${which} refresh token`, refresh);
}

async function createByGrpc(card: string): Promise<{ order_id: string }> {
  const grpcurl = await findOrBuildGrpcurl();
  const order = {
    items: [{ product_id: 'mug-blue', quantity: 1 }],
    payment: { method: 'card', card_token: card },
  };
  const answered = readOutput(
    grpcurl,
    '-plaintext',
    '-H',
    `authorization: ${bearerOf(customer)}`,
    '-d',
    JSON.stringify(order),
    system.urls.grpc,
    'sidecart.v1.OrderService/CreateOrder',
  );
  const [, order_id] = /"order_?[iI]d": "([^"]+)"/.exec(answered ?? '') ?? [];
  if (!order_id) throw new Error(`gRPC made no order: ${answered}`);
  return { order_id };
}
