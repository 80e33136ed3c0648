import { unwrap } from '../../../services/gateway/client/client.ts';
import { onHandAtFirst } from '../shelf.ts';
import { allOf, type Check } from './check.ts';

export const stockAddsUp: Check = {
  name: 'stock',
  promise:
    'Of every product, what was there and what was restocked is on hand or sold, and nothing is reserved any more.',
  async verify({ people, journal, shelf, orders }) {
    const atFirst = onHandAtFirst(shelf);
    const products = await allOf(async (cursor) =>
      unwrap(await people.admin('GET /api/inventory', { query: { cursor, limit: 100 } })),
    );
    const sold = new Map<string, number>();
    for (const { order } of orders.values())
      if (order.status === 'DELIVERED')
        for (const { product_id, quantity } of order.items)
          sold.set(product_id, (sold.get(product_id) ?? 0) + quantity);
    const restocked = new Map<string, number>();
    for (const { product_id, quantity, done } of journal.restocks)
      if (done) restocked.set(product_id, (restocked.get(product_id) ?? 0) + quantity);

    const violations = products.flatMap(({ product_id, on_hand, reserved, available }) => {
      const first = atFirst.get(product_id);
      if (first === undefined) return [];
      const put = first + (restocked.get(product_id) ?? 0);
      const gone = sold.get(product_id) ?? 0;
      return [
        ...(reserved === 0 ? [] : [`${product_id}: ${reserved} still reserved`]),
        ...(on_hand === put - gone ? [] : [`${product_id}: ${put} put in, ${gone} sold, ${on_hand} on hand`]),
        ...(available === on_hand - reserved && available >= 0
          ? []
          : [`${product_id}: ${available} available`]),
      ];
    });
    return { verified: atFirst.size, violations };
  },
};
