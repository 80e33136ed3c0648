import { createClient, unwrap, type Client } from '../../../services/gateway/client/client.ts';
import type { OrderStatus } from '../../../services/orders/contract.ts';
import type { CheckedSystem } from './checked-system.ts';
import { countOf, findingsOf, skipped, type Finding } from './finding.ts';

const PAGE = 100;
/** The services that bring an order out of a status. */
const WAITS_FOR: Partial<Record<OrderStatus, string>> = {
  PENDING: 'inventory',
  RESERVED: 'payments',
  PAID: 'fulfilment',
  SHIPPED: 'fulfilment',
};

/** Whether orders are stuck, or messages became dead letters, as an administrator sees them through the API. */
export async function checkOrders({ api, admin }: CheckedSystem): Promise<Finding[]> {
  if (!admin) return skippedChecks('There is no administrator.');
  const anonymous = createClient(api);
  try {
    const session =
      'accessToken' in admin ? { access_token: admin.accessToken } : await logIn(anonymous, admin);
    if (!session) return skippedChecks('The administrator of the first start has another password now.');
    const client = createClient(api, session);
    try {
      const findings = await Promise.all([checkStuckOrders(client), checkDeadLetters(client)]);
      if (!('accessToken' in admin)) await client.logOut();
      return findings.flat();
    } finally {
      await client.close();
    }
  } catch (error) {
    const message = `Stuck orders and dead letters are unknown: ${(error as Error).message}`;
    return findingsOf('orders', [{ message, advice: 'See the findings about services and sidecars.' }], '');
  } finally {
    await anonymous.close();
  }
}

const skippedChecks = (reason: string) => {
  const message = `${reason} Set SIDECART_ACCESS_TOKEN to the access token of one.`;
  return [skipped('orders', message), skipped('dead letters', message)];
};

/** @returns the tokens of a session; undefined if the password is wrong. @throws Error for any other failure */
async function logIn(anonymous: Client, body: { email: string; password: string }) {
  const response = await anonymous('POST /api/users/login', { body });
  return response.status === 401 ? undefined : unwrap(response);
}

async function checkStuckOrders(admin: Client): Promise<Finding[]> {
  const query = { stuck: 'true', limit: PAGE } as const;
  const { items, next_cursor } = unwrap(await admin('GET /api/admin/orders', { query }));
  const byStatus = groupBy(items, ({ status }) => status);
  return findingsOf(
    'orders',
    [...byStatus].map(([status, orders]) => {
      const [oldest] = orders;
      const service = WAITS_FOR[status];
      return {
        message: `No progress of ${countOf(orders.length, 'order', next_cursor !== null)} in status ${status}, the first since ${oldest?.updated_at} (${oldest?.order_id}).`,
        advice: `${service ? `They wait for ${service}. ` : ''}Search the logs for the order's id. The watchdog continues an order when its service is back.`,
      };
    }),
    'none is stuck for two minutes',
  );
}

async function checkDeadLetters(admin: Client): Promise<Finding[]> {
  const query = { limit: PAGE };
  const { items, next_cursor } = unwrap(await admin('GET /api/admin/dead-letters', { query }));
  const open = items.filter(({ redriven }) => redriven === 0);
  const byType = groupBy(open, ({ type }) => type);
  return findingsOf(
    'dead letters',
    [...byType].map(([type, letters]) => ({
      message: `No handler could process ${countOf(letters.length, 'message', next_cursor !== null)} of ${type}, the newest at ${letters[0]?.received_at} (${letters[0]?.dead_letter_id}).`,
      advice:
        'Read one with GET /api/admin/dead-letters/<id>. Correct the cause, then POST /api/admin/dead-letters/<id>/redrive.',
    })),
    items.length > open.length ? 'all were redriven' : 'none',
  );
}

function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
