import { isDeepStrictEqual } from 'node:util';
import { unwrap } from '../../../services/gateway/client/client.ts';
import type { Order } from '../../../services/orders/contract.ts';
import { tally } from '../tally.ts';
import { allOf, each, type Check, type Outcome, type Scene } from './check.ts';

export const readModelIsTrue: Check = {
  name: 'read model',
  promise:
    'The lists and totals are those of a replay of the orders’ streams, with every order once and no other.',
  async verify(scene) {
    const { people, orders } = scene;
    const mine = new Set(people.customers.map(({ userId }) => userId));
    const all = await allOf((cursor) =>
      people.admin('GET /api/orders', { query: { cursor, limit: 100 } }).then(unwrap),
    );
    const lists = [
      compare(
        'the list of all orders',
        [...orders.values()].map(({ order }) => order),
        all.filter(({ customer_id }) => mine.has(customer_id)),
      ),
      ...(await Promise.all(
        people.customers.map(async ({ userId, call }) =>
          compare(
            `the orders of ${userId}`,
            ordersOf(scene, userId),
            await allOf((cursor) => call('GET /api/orders', { query: { cursor, limit: 100 } }).then(unwrap)),
          ),
        ),
      )),
    ];
    const totals = await each(people.customers, ({ userId }) => verifyTotals(scene, userId));
    return {
      verified: orders.size + totals.verified,
      violations: [...lists.flatMap(({ violations }) => violations), ...totals.violations],
    };
  },
};

const ordersOf = ({ orders }: Scene, customerId: string): Order[] =>
  [...orders.values()].map(({ order }) => order).filter(({ customer_id }) => customer_id === customerId);

function compare(list: string, expected: readonly Order[], found: readonly Order[]): Outcome {
  const listed = new Map<string, Order>();
  const violations: string[] = [];
  for (const order of found) {
    if (listed.has(order.order_id)) violations.push(`${list} has ${order.order_id} twice`);
    listed.set(order.order_id, order);
  }
  for (const order of expected) {
    const shown = listed.get(order.order_id);
    if (!shown) violations.push(`${list} lacks ${order.order_id} (${order.status})`);
    else if (!isDeepStrictEqual(shown, order))
      violations.push(
        `${list} has ${order.order_id} as ${shown.status}, version ${shown.version}; it is ${order.status}, version ${order.version}`,
      );
    listed.delete(order.order_id);
  }
  for (const { order_id, status } of listed.values())
    violations.push(`${list} has ${order_id} (${status}), of which no customer was told`);
  return { verified: expected.length, violations };
}

const KEPT = new Set(['PAID', 'SHIPPED', 'DELIVERED']);

async function verifyTotals(scene: Scene, customer_id: string): Promise<string | undefined> {
  const expected = ordersOf(scene, customer_id);
  const totals = unwrap(
    await scene.people.admin('GET /api/customers/:customer_id/totals', { params: { customer_id } }),
  );
  const by_status = tally(expected.map(({ status }) => status));
  const spent = expected
    .filter(({ status }) => KEPT.has(status))
    .reduce((sum, { total, refunded = 0 }) => sum + total - refunded, 0);
  const isRight =
    totals.orders === expected.length &&
    isDeepStrictEqual({ ...totals.by_status }, by_status) &&
    (totals.spent['EUR'] ?? 0) === spent;
  return isRight
    ? undefined
    : `the totals of ${customer_id} are ${JSON.stringify(totals)}, not ${JSON.stringify({ by_status, spent })}`;
}
