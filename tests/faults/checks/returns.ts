import { unwrap } from '../../../services/gateway/client/client.ts';
import type { Return } from '../../../services/returns/contract.ts';
import { checkEach, refundedOrders, type Check, type CheckContext } from './check.ts';

const HALF_AN_HOUR_MS = 1_800_000;
const FINAL = new Set(['REFUNDED', 'REJECTED', 'CANCELLED', 'EXPIRED']);

export const returnsEnd: Check = {
  name: 'returns',
  promise:
    'Every return ends. The refund is the price of what was received, once. The returns of an order are at most what was bought.',
  verify(context) {
    const refunded = refundedOrders(context);
    const orderIds = new Set(context.journal.returns.map(({ order_id }) => order_id));
    return checkEach(orderIds, (id) => verifyReturns(context, id, refunded.has(id)));
  },
};

async function verifyReturns(
  { users, journal, returns }: CheckContext,
  id: string,
  isRefunded: boolean,
): Promise<string | undefined> {
  const { items } = unwrap(await users.admin('GET /api/orders/:id/returns', { params: { id } }));
  const open = items.find(({ status }) => !FINAL.has(status));
  if (open) {
    // A replica whose clock was ahead has promised the customer more time than this run has. The shop cancels the return.
    if (Date.parse(open.expires_at ?? '') - Date.now() > HALF_AN_HOUR_MS)
      await users.admin('POST /api/returns/:id/cancel', { params: { id: open.return_id } });
    return `return ${open.return_id} of order ${id} is still ${open.status}`;
  }
  returns.set(id, items);
  const known = new Set(items.map(({ return_id }) => return_id));
  const lost = journal.returns.find(
    ({ order_id, return_id }) => order_id === id && return_id && !known.has(return_id),
  );
  if (lost) return `return ${lost.return_id} was accepted and does not exist`;
  for (const one of items) {
    const expected = one.status === 'REFUNDED' ? priceOf(one) : 0;
    const given = one.refunded ?? 0;
    // The shop may have refunded the rest of the order before.
    if (isRefunded ? given > expected : given !== expected)
      return `return ${one.return_id} is ${one.status}: ${given} refunded, ${expected} received`;
  }
  const order = unwrap(await users.admin('GET /api/orders/:id', { params: { id } }));
  const bought = new Map<string, number>();
  for (const { product_id, quantity } of order.items)
    bought.set(product_id, (bought.get(product_id) ?? 0) + quantity);
  for (const { received } of items)
    for (const { product_id, quantity } of received)
      bought.set(product_id, (bought.get(product_id) ?? 0) - quantity);
  const excess = [...bought].find(([, left]) => left < 0);
  if (excess) return `order ${id}: more of ${excess[0]} was returned than bought`;
  const shown = new Set(order.returned?.map(({ return_id }) => return_id));
  const missing = items.find(({ status, return_id }) => (status === 'REFUNDED') !== shown.has(return_id));
  return missing && `order ${id} and return ${missing.return_id} (${missing.status}) disagree`;
}

const priceOf = ({ received, items }: Return) =>
  received.reduce((sum, { product_id, quantity }) => {
    const line = items.find((item) => item.product_id === product_id);
    return sum + quantity * (line?.unit_price ?? 0);
  }, 0);

/** The sum of the refunds of an order's returns. */
export const refundedByReturns = ({ returns }: CheckContext, orderId: string): number =>
  (returns.get(orderId) ?? []).reduce((sum, { refunded = 0 }) => sum + refunded, 0);

/** The statuses that a return has had. */
export function statusesOf({ status, version }: Return): Return['status'][] {
  if (status === 'REFUNDED') return ['REQUESTED', 'APPROVED', 'RECEIVED', 'REFUNDED'];
  return version === 3 ? ['REQUESTED', 'APPROVED', status] : ['REQUESTED', status];
}
