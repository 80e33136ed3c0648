import { unwrap } from '../../../services/gateway/client/client.ts';
import { checkEach, type Check, type CheckContext, type OrderHistory } from './check.ts';

export const moneyIsRight: Check = {
  name: 'money',
  promise:
    'The provider’s ledger has at most one capture per order. The captured money is exactly the total of delivered orders, minus refunds.',
  verify: (context) => checkEach(context.orders.values(), (history) => verifyPayment(context, history)),
};

async function verifyPayment({ users }: CheckContext, { order }: OrderHistory): Promise<string | undefined> {
  const { order_id, status, total, refunded = 0 } = order;
  const response = await users.admin('GET /api/payments/ledger/:order_id', { params: { order_id } });
  const ledger = response.status === 404 ? { captures: [], captured: 0, refunded: 0 } : unwrap(response);
  const keptAmount = ledger.captured - ledger.refunded;
  const expectedAmount = status === 'DELIVERED' ? total - refunded : 0;
  if (ledger.captures.length > 1) return `order ${order_id}: ${ledger.captures.length} captures`;
  if (ledger.captured > total || ledger.refunded > ledger.captured)
    return `order ${order_id} of ${total}: ${ledger.captured} captured, ${ledger.refunded} refunded`;
  if (keptAmount !== expectedAmount)
    return `order ${order_id} of ${total} is ${status}: ${keptAmount} captured`;

  const { items } = unwrap(await users.admin('GET /api/payments', { query: { order_id } }));
  const [payment] = items;
  const shownAmount = payment ? (payment.status === 'CAPTURED' ? payment.amount - payment.refunded : 0) : 0;
  if (items.length > 1 || shownAmount !== expectedAmount || (payment && payment.refunded !== ledger.refunded))
    return `order ${order_id} is ${status}, its payment ${JSON.stringify(payment)}`;
  return undefined;
}
