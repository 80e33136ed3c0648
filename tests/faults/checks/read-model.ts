import { isDeepStrictEqual } from 'node:util';
import { unwrap } from '../../../services/gateway/client/client.ts';
import type { Order } from '../../../services/orders/contract.ts';
import { tally } from '../tally.ts';
import { listAll, checkEach, type Check, type CheckOutcome, type CheckContext } from './check.ts';

export const readModelMatchesStreams: Check = {
  name: 'read model',
  promise: 'The lists and totals equal a replay of the streams, with every order exactly once.',
  async verify(context) {
    const { users, orders } = context;
    const customerIds = new Set(users.customers.map(({ userId }) => userId));
    const all = await listAll((cursor) =>
      users.admin('GET /api/orders', { query: { cursor, limit: 100 } }).then(unwrap),
    );
    const lists = [
      compare(
        'the list of all orders',
        [...orders.values()].map(({ order }) => order),
        all.filter(({ customer_id }) => customerIds.has(customer_id)),
      ),
      ...(await Promise.all(
        users.customers.map(async ({ userId, call }) =>
          compare(
            `the orders of ${userId}`,
            ordersOf(context, userId),
            await listAll((cursor) =>
              call('GET /api/orders', { query: { cursor, limit: 100 } }).then(unwrap),
            ),
          ),
        ),
      )),
    ];
    const totals = await checkEach(users.customers, ({ userId }) => verifyTotals(context, userId));
    return {
      verified: orders.size + totals.verified,
      violations: [...lists.flatMap(({ violations }) => violations), ...totals.violations],
    };
  },
};

const ordersOf = ({ orders }: CheckContext, customerId: string): Order[] =>
  [...orders.values()].map(({ order }) => order).filter(({ customer_id }) => customer_id === customerId);

function compare(list: string, expected: readonly Order[], found: readonly Order[]): CheckOutcome {
  const listed = new Map<string, Order>();
  const violations: string[] = [];
  for (const order of found) {
    if (listed.has(order.order_id)) violations.push(`${list} has ${order.order_id} twice`);
    listed.set(order.order_id, order);
  }
  for (const order of expected) {
    const listedOrder = listed.get(order.order_id);
    if (!listedOrder) violations.push(`${list} lacks ${order.order_id} (${order.status})`);
    else if (!isDeepStrictEqual(listedOrder, order))
      violations.push(
        `${list} has ${order.order_id} as ${listedOrder.status}, version ${listedOrder.version}; it is ${order.status}, version ${order.version}`,
      );
    listed.delete(order.order_id);
  }
  for (const { order_id, status } of listed.values())
    violations.push(`${list} has ${order_id} (${status}), which no customer was promised`);
  return { verified: expected.length, violations };
}

const PAID_STATUSES = new Set(['PAID', 'SHIPPED', 'DELIVERED']);

async function verifyTotals(context: CheckContext, customer_id: string): Promise<string | undefined> {
  const expected = ordersOf(context, customer_id);
  const totals = unwrap(
    await context.users.admin('GET /api/customers/:customer_id/totals', { params: { customer_id } }),
  );
  const by_status = tally(expected.map(({ status }) => status));
  const spent = expected
    .filter(({ status }) => PAID_STATUSES.has(status))
    .reduce((sum, { total, refunded = 0 }) => sum + total - refunded, 0);
  const isCorrect =
    totals.orders === expected.length &&
    isDeepStrictEqual({ ...totals.by_status }, by_status) &&
    (totals.spent['EUR'] ?? 0) === spent;
  return isCorrect
    ? undefined
    : `the totals of ${customer_id} are ${JSON.stringify(totals)}, not ${JSON.stringify({ by_status, spent })}`;
}
