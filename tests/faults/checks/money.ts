import { unwrap } from '../../../services/gateway/client/client.ts';
import { each, type Check, type Scene, type Told } from './check.ts';

export const moneyIsRight: Check = {
  name: 'money',
  promise:
    'By the provider’s books, at most one capture an order, and exactly the total of what was delivered and not refunded was kept.',
  verify: (scene) => each(scene.orders.values(), (told) => verifyPayment(scene, told)),
};

async function verifyPayment({ people }: Scene, { order }: Told): Promise<string | undefined> {
  const { order_id, status, total, refunded = 0 } = order;
  const answer = await people.admin('GET /api/payments/ledger/:order_id', { params: { order_id } });
  const books = answer.status === 404 ? { captures: [], captured: 0, refunded: 0 } : unwrap(answer);
  const kept = books.captured - books.refunded;
  const owed = status === 'DELIVERED' ? total - refunded : 0;
  if (books.captures.length > 1) return `order ${order_id}: ${books.captures.length} captures`;
  if (books.captured > total || books.refunded > books.captured)
    return `order ${order_id} of ${total}: ${books.captured} captured, ${books.refunded} refunded`;
  if (kept !== owed) return `order ${order_id} of ${total} is ${status}: ${kept} kept`;

  const { items } = unwrap(await people.admin('GET /api/payments', { query: { order_id } }));
  const [payment] = items;
  const shown = payment ? (payment.status === 'CAPTURED' ? payment.amount : 0) : 0;
  if (items.length > 1 || shown !== owed || (payment && payment.refunded !== books.refunded))
    return `order ${order_id} is ${status}, its payment ${JSON.stringify(payment)}`;
  return undefined;
}
