import { unwrap } from '../../../services/gateway/client/client.ts';
import { initialStockOf } from '../test-products.ts';
import { listAll, type Check } from './check.ts';

export const stockAddsUp: Check = {
  name: 'stock',
  promise:
    'The initial stock and all restocks of every product are on hand or sold, and nothing is still reserved. Sellable returns are on hand.',
  async verify({ users, journal, products: testProducts, orders, returns }) {
    const initialStock = initialStockOf(testProducts);
    const products = await listAll(async (cursor) =>
      unwrap(await users.admin('GET /api/inventory', { query: { cursor, limit: 100 } })),
    );
    const sold = new Map<string, number>();
    for (const { order } of orders.values())
      if (order.status === 'DELIVERED')
        for (const { product_id, quantity } of order.items)
          sold.set(product_id, (sold.get(product_id) ?? 0) + quantity);
    for (const { received } of [...returns.values()].flat())
      for (const { product_id, quantity, sellable } of received)
        if (sellable) sold.set(product_id, (sold.get(product_id) ?? 0) - quantity);
    const restocked = new Map<string, number>();
    for (const { product_id, quantity, done } of journal.restocks)
      if (done) restocked.set(product_id, (restocked.get(product_id) ?? 0) + quantity);

    const violations = products.flatMap(({ product_id, on_hand, reserved, available }) => {
      const initial = initialStock.get(product_id);
      if (initial === undefined) return [];
      const supplied = initial + (restocked.get(product_id) ?? 0);
      const soldQuantity = sold.get(product_id) ?? 0;
      return [
        ...(reserved === 0 ? [] : [`${product_id}: ${reserved} still reserved`]),
        ...(on_hand === supplied - soldQuantity
          ? []
          : [`${product_id}: ${supplied} supplied, ${soldQuantity} sold, ${on_hand} on hand`]),
        ...(available === on_hand - reserved && available >= 0
          ? []
          : [`${product_id}: ${available} available`]),
      ];
    });
    return { verified: initialStock.size, violations };
  },
};
