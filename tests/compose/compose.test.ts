import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { isSystemReady } from '../../deploy/local/system/app-processes.ts';
import { createClient } from '../../services/gateway/client/client.ts';
import { findEngine, createComposeProject, type ComposeProject } from '../support/compose.ts';
import { mailsTo } from '../support/mails.ts';
import { registerCustomer, placeOrder, getProduct, waitForStatus, type Caller } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';
import { waitForEdges } from '../support/zipkin.ts';

const engine = findEngine();

const PORTS = { API_PORT: 31_080, GRPC_PORT: 31_051, ZIPKIN_PORT: 31_411, MAIL_PORT: 31_025 };
const at = (port: number) => `http://127.0.0.1:${port}`;
const api = at(PORTS.API_PORT);
const mails = at(PORTS.MAIL_PORT);

const MINUTE_MS = 60_000;

/** The health checks by service. */
const checks = z
  .looseObject({
    services: z.record(
      z.string(),
      z.looseObject({ healthcheck: z.looseObject({ test: z.array(z.string()) }).optional() }),
    ),
  })
  .parse(
    parse(readFileSync('deploy/compose/compose.yaml', 'utf8'), { merge: true, maxAliasCount: -1 }),
  ).services;

/** The command that sends a signal to the first process of a container, as if the process failed. */
function signalCommand(container: string, signal: NodeJS.Signals): string[] {
  return ['exec', '-T', container, 'node', '-e', `process.kill(1, '${signal}')`];
}

/** The maximum of orders during a restart. The stock is enough for all of them. */
const MAX_ORDERS = 40;

/** Places orders with retries until `isEnough`, and one more. Returns the accepted ones. */
async function placeUntil(customer: Caller, isEnough: () => boolean): Promise<string[]> {
  const accepted: string[] = [];
  await waitFor(
    'orders are placed',
    async () => {
      const isLast = isEnough();
      if (accepted.length >= MAX_ORDERS && !isLast) return 'waiting';
      const [outcome] = await Promise.allSettled([placeOrder(customer, { product: 'mug-blue' })]);
      if (outcome.status === 'rejected') return String(outcome.reason);
      accepted.push(outcome.value.orderId);
      return isLast ? 'enough' : 'more';
    },
    { until: (state) => state === 'enough', timeoutMs: 3 * MINUTE_MS },
  );
  return accepted;
}

describe.skipIf(!engine)('all services in containers', () => {
  let project: ComposeProject;
  let customer: Caller;

  /** The start time of the first process of a container in ticks, or undefined if none runs. */
  async function startOf(container: string): Promise<string | undefined> {
    const script = "console.log(require('node:fs').readFileSync('/proc/1/stat', 'utf8').split(' ')[21])";
    const command = ['exec', '-T', container, 'node', '-e', script];
    const output = await project.compose(MINUTE_MS, ...command).catch(() => '');
    return /^\d+$/m.exec(output)?.[0];
  }

  beforeAll(async () => {
    const ports: Record<string, string> = {};
    for (const [name, port] of Object.entries(PORTS)) ports[name] = String(port);
    project = createComposeProject(engine!, `sidecart-test-${process.pid}`, ports);
    await project.compose(20 * MINUTE_MS, 'build');
    await project.compose(5 * MINUTE_MS, 'up', '-d');
    await waitFor('the services are ready', () => isSystemReady(api, []), { timeoutMs: 3 * MINUTE_MS });
    customer = await registerCustomer(api);
  }, 30 * MINUTE_MS);
  afterAll(() => project?.compose(3 * MINUTE_MS, 'down', '-v', '-t', '5'), 4 * MINUTE_MS);

  it(
    'When an order is placed, then it is delivered, confirmed by e-mail and traced',
    async () => {
      const { orderId, traceId } = await placeOrder(customer);
      await waitForStatus(customer, orderId, 'DELIVERED', MINUTE_MS);
      await waitFor('the e-mails about payment and dispatch', () => mailsTo(mails, customer.email), {
        until: (found) => found.filter(({ html }) => html.includes(orderId)).length === 2,
        timeoutMs: MINUTE_MS,
      });
      const edges = ['gateway -> orders', 'orders -> inventory', 'orders -> fulfilment'];
      expect(await waitForEdges(at(PORTS.ZIPKIN_PORT), traceId, edges)).toContain('gateway -> orders');
    },
    3 * MINUTE_MS,
  );

  it(
    'When a health check runs in its container, then it passes',
    async () => {
      for (const [service, { healthcheck }] of Object.entries(checks)) {
        const [kind, ...command] = healthcheck?.test ?? [];
        if (kind !== undefined) await project.compose(MINUTE_MS, 'exec', '-T', service, ...command);
      }
      // The check fails if nothing listens on the port.
      const [, ...ofOrders] = checks['orders']?.healthcheck?.test ?? [];
      const query = project.compose(MINUTE_MS, 'exec', '-T', '-e', 'APP_PORT=9', 'orders', ...ofOrders);
      await expect(query).rejects.toThrow(/exec/);
    },
    3 * MINUTE_MS,
  );

  it(
    'When a client connects to the database without a password, then it is rejected',
    async () => {
      const query = (user: string, database: string) =>
        project.compose(
          MINUTE_MS,
          'exec',
          '-T',
          'postgres',
          'psql',
          '-h',
          'postgres',
          '-w',
          '-U',
          user,
          '-d',
          database,
          '-c',
          'SELECT 1',
        );
      await expect(query('postgres', 'orders')).rejects.toThrow(/no password supplied/);
      await expect(query('orders', 'orders')).rejects.toThrow(/no password supplied/);
    },
    MINUTE_MS,
  );

  it.each([
    ['orders is restarted', 'orders', ['restart', '-t', '15', 'orders']],
    ['orders exits unexpectedly', 'orders', signalCommand('orders', 'SIGTERM')],
    ['the sidecar of orders crashes', 'orders-dapr', signalCommand('orders-dapr', 'SIGABRT')],
    ['payments is restarted', 'payments', ['restart', '-t', '15', 'payments']],
  ])(
    'When %s while orders are placed, then all are delivered, the stock is right and e-mails are sent',
    async (_, container, command) => {
      const shopper = await registerCustomer(api);
      const before = await getProduct(shopper, 'mug-blue');
      const first = await startOf(container);
      expect(first).toMatch(/^\d+$/);
      let isBack = false;
      const restarted = (async () => {
        try {
          await project.compose(2 * MINUTE_MS, ...command);
        } catch (error) {
          // The command ends together with the first process of its container.
          if (command[0] !== 'exec') throw error;
        }
        await waitFor(`${container} has restarted`, () => startOf(container), {
          until: (start) => start !== undefined && start !== first,
          timeoutMs: MINUTE_MS,
        });
        isBack = true;
      })();
      const [accepted] = await Promise.all([placeUntil(shopper, () => isBack), restarted]);
      for (const orderId of accepted)
        expect((await waitForStatus(shopper, orderId, 'DELIVERED', 2 * MINUTE_MS)).version).toBe(5);
      await waitFor('the stock is right', () => getProduct(shopper, 'mug-blue'), {
        until: ({ on_hand, reserved, available }) =>
          reserved === 0 && on_hand === before.on_hand - accepted.length && available === on_hand,
        timeoutMs: MINUTE_MS,
      });
      await waitFor(
        'two e-mails per order, each at most twice',
        async () => {
          const sent = await mailsTo(mails, shopper.email);
          return accepted.map((id) => sent.filter(({ html }) => html.includes(id)).length);
        },
        { until: (counts) => counts.every((count) => count >= 2 && count <= 4), timeoutMs: MINUTE_MS },
      );
    },
    6 * MINUTE_MS,
  );

  it(
    'When the credentials of the administrator are read, then a login succeeds',
    async () => {
      const script = 'console.log(JSON.stringify([process.env.ADMIN_EMAIL, process.env.ADMIN_PASSWORD]))';
      const command = ['exec', '-T', 'users', 'node', '--env-file=/run/sidecart/service.env', '-e', script];
      const output = await project.compose(MINUTE_MS, ...command);
      const [email, password] = z
        .tuple([z.string(), z.string()])
        .parse(JSON.parse(/\[.*\]/.exec(output)?.[0] ?? ''));
      const admin = await createClient(api).logIn({ email, password });
      expect((await admin('GET /api/admin/dead-letters', {})).ok).toBe(true);
    },
    MINUTE_MS,
  );

  it(
    'When the project is removed with its volumes, then no resource remains',
    async () => {
      expect(project.remainingResources()).not.toEqual([]);
      await project.compose(3 * MINUTE_MS, 'down', '-v', '-t', '5');
      expect(project.remainingResources()).toEqual([]);
    },
    4 * MINUTE_MS,
  );
});
