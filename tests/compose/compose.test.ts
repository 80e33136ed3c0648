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

const MINUTE = 60_000;

/** Each health check by its service. */
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

/** The command by which the first process of a container gets a signal from within, as it does where it fails by itself. */
function ends(container: string, signal: NodeJS.Signals): string[] {
  return ['exec', '-T', container, 'node', '-e', `process.kill(1, '${signal}')`];
}

/** So many orders at most are placed while something is away: there is stock for all of them. */
const MOST_ORDERS = 40;

/** Places orders as one does who is told to try again, and one more when it is enough. Gives those that were accepted. */
async function placeUntil(customer: Caller, isEnough: () => boolean): Promise<string[]> {
  const accepted: string[] = [];
  await waitFor(
    'orders are placed',
    async () => {
      const isLast = isEnough();
      if (accepted.length >= MOST_ORDERS && !isLast) return 'waiting';
      const [outcome] = await Promise.allSettled([placeOrder(customer, { product: 'mug-blue' })]);
      if (outcome.status === 'rejected') return String(outcome.reason);
      accepted.push(outcome.value.orderId);
      return isLast ? 'enough' : 'more';
    },
    { until: (seen) => seen === 'enough', timeoutMs: 3 * MINUTE },
  );
  return accepted;
}

describe.skipIf(!engine)('all services in containers', () => {
  let project: ComposeProject;
  let customer: Caller;

  /** When the first process of a container has started, in ticks of the machine; undefined while none runs. */
  async function startOf(container: string): Promise<string | undefined> {
    const script = "console.log(require('node:fs').readFileSync('/proc/1/stat', 'utf8').split(' ')[21])";
    const command = ['exec', '-T', container, 'node', '-e', script];
    const printed = await project.compose(MINUTE, ...command).catch(() => '');
    return /^\d+$/m.exec(printed)?.[0];
  }

  beforeAll(async () => {
    const ports: Record<string, string> = {};
    for (const [name, port] of Object.entries(PORTS)) ports[name] = String(port);
    project = createComposeProject(engine!, `sidecart-test-${process.pid}`, ports);
    await project.compose(20 * MINUTE, 'build');
    await project.compose(5 * MINUTE, 'up', '-d');
    await waitFor('the services are reached', () => isSystemReady(api, []), { timeoutMs: 3 * MINUTE });
    customer = await registerCustomer(api);
  }, 30 * MINUTE);
  afterAll(() => project?.compose(3 * MINUTE, 'down', '-v', '-t', '5'), 4 * MINUTE);

  it(
    'When an order is placed, then it is delivered, told by mail, and one trace',
    async () => {
      const { orderId, traceId } = await placeOrder(customer);
      await waitForStatus(customer, orderId, 'DELIVERED', MINUTE);
      await waitFor('the confirmation and the dispatch', () => mailsTo(mails, customer.email), {
        until: (found) => found.filter(({ html }) => html.includes(orderId)).length === 2,
        timeoutMs: MINUTE,
      });
      const edges = ['gateway -> orders', 'orders -> inventory', 'orders -> fulfilment'];
      expect(await waitForEdges(at(PORTS.ZIPKIN_PORT), traceId, edges)).toContain('gateway -> orders');
    },
    3 * MINUTE,
  );

  it(
    'When a container is asked by its health check, then it is healthy',
    async () => {
      for (const [service, { healthcheck }] of Object.entries(checks)) {
        const [kind, ...command] = healthcheck?.test ?? [];
        if (kind !== undefined) await project.compose(MINUTE, 'exec', '-T', service, ...command);
      }
      // And the other way round: nothing listens at this port.
      const [, ...ofOrders] = checks['orders']?.healthcheck?.test ?? [];
      const asked = project.compose(MINUTE, 'exec', '-T', '-e', 'APP_PORT=9', 'orders', ...ofOrders);
      await expect(asked).rejects.toThrow(/exec/);
    },
    3 * MINUTE,
  );

  it(
    'When somebody without a password asks the database, then it is refused',
    async () => {
      const asked = (user: string, database: string) =>
        project.compose(
          MINUTE,
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
      await expect(asked('postgres', 'orders')).rejects.toThrow(/no password supplied/);
      await expect(asked('orders', 'orders')).rejects.toThrow(/no password supplied/);
    },
    MINUTE,
  );

  it.each([
    ['orders is started again', 'orders', ['restart', '-t', '15', 'orders']],
    ['orders ends by itself', 'orders', ends('orders', 'SIGTERM')],
    ['the sidecar of orders crashes', 'orders-dapr', ends('orders-dapr', 'SIGABRT')],
    ['payments is started again', 'payments', ['restart', '-t', '15', 'payments']],
  ])(
    'When %s while orders are placed, then all are delivered, stock adds up and mails are sent',
    async (_, container, command) => {
      const shopper = await registerCustomer(api);
      const before = await getProduct(shopper, 'mug-blue');
      const first = await startOf(container);
      expect(first).toMatch(/^\d+$/);
      let isBack = false;
      const restarted = (async () => {
        try {
          await project.compose(2 * MINUTE, ...command);
        } catch (error) {
          // Whoever ends the first process of a container ends with it.
          if (command[0] !== 'exec') throw error;
        }
        await waitFor(`${container} has started again`, () => startOf(container), {
          until: (start) => start !== undefined && start !== first,
          timeoutMs: MINUTE,
        });
        isBack = true;
      })();
      const [accepted] = await Promise.all([placeUntil(shopper, () => isBack), restarted]);
      for (const orderId of accepted)
        expect((await waitForStatus(shopper, orderId, 'DELIVERED', 2 * MINUTE)).version).toBe(5);
      await waitFor('stock adds up', () => getProduct(shopper, 'mug-blue'), {
        until: ({ on_hand, reserved, available }) =>
          reserved === 0 && on_hand === before.on_hand - accepted.length && available === on_hand,
        timeoutMs: MINUTE,
      });
      await waitFor(
        'two mails an order, each of them at most twice',
        async () => {
          const sent = await mailsTo(mails, shopper.email);
          return accepted.map((id) => sent.filter(({ html }) => html.includes(id)).length);
        },
        { until: (counts) => counts.every((count) => count >= 2 && count <= 4), timeoutMs: MINUTE },
      );
    },
    6 * MINUTE,
  );

  it(
    'When the administrator is looked up, then logging in works',
    async () => {
      const script = 'console.log(JSON.stringify([process.env.ADMIN_EMAIL, process.env.ADMIN_PASSWORD]))';
      const command = ['exec', '-T', 'users', 'node', '--env-file=/run/sidecart/service.env', '-e', script];
      const printed = await project.compose(MINUTE, ...command);
      const [email, password] = z
        .tuple([z.string(), z.string()])
        .parse(JSON.parse(/\[.*\]/.exec(printed)?.[0] ?? ''));
      const admin = await createClient(api).logIn({ email, password });
      expect((await admin('GET /api/admin/dead-letters', {})).ok).toBe(true);
    },
    MINUTE,
  );

  it(
    'When it is stopped with its volumes, then nothing is left',
    async () => {
      expect(project.remainingResources()).not.toEqual([]);
      await project.compose(3 * MINUTE, 'down', '-v', '-t', '5');
      expect(project.remainingResources()).toEqual([]);
    },
    4 * MINUTE,
  );
});
