import { unwrap } from '../../../services/gateway/client/client.ts';
import { FINAL_STATUSES, type OrderEventType } from '../../../services/orders/contract.ts';
import { replay, type OrderEvent } from '../../../services/orders/domain/order.ts';
import { statusAfter, TRANSITIONS } from '../../../services/orders/domain/state-machine.ts';
import { checkEach, refundedOrders, type Check, type CheckContext } from './check.ts';
import { refundedByReturns } from './returns.ts';

/** Whether the state machine has a transition from the previous events to this one. */
function mayFollow(before: readonly OrderEventType[], type: OrderEventType): boolean {
  const status = before.map(statusAfter).findLast((one) => one !== undefined);
  return (
    status !== undefined &&
    // An order may have several returns.
    (type !== before.at(-1) || type === 'order.returned') &&
    Object.values(TRANSITIONS).some(({ from, appends }) => appends === type && from.includes(status))
  );
}

export const ordersEnd: Check = {
  name: 'orders',
  promise:
    'Every accepted order is in a final state, by valid transitions, with the accepted total. It shows a refund only if a refund or return succeeded.',
  verify(context) {
    const refunded = refundedOrders(context);
    return checkEach(context.journal.accepted.keys(), (id) => verifyOrder(context, id, refunded.has(id)));
  },
};

async function verifyOrder(
  context: CheckContext,
  id: string,
  isRefunded: boolean,
): Promise<string | undefined> {
  const { users, journal, orders } = context;
  // Only a refund or return changes a final order. The load checks that no caller gets an older version later.
  if (!orders.has(id)) {
    const response = await users.admin('GET /api/orders/:id/events', { params: { id } });
    if (response.status === 404) return `order ${id} was accepted and does not exist`;
    const { items } = unwrap(response);
    const order = replay(id, items as OrderEvent[]);
    const events = items.map(({ type }) => type);
    if (!FINAL_STATUSES.has(order.status)) return `order ${id} is still ${order.status}`;
    // The status of a cancelled order already shows its refund.
    const shownRefund = order.refunded ?? 0;
    const expectedRefund =
      isRefunded && order.status === 'DELIVERED' ? order.total : refundedByReturns(context, id);
    if (shownRefund !== expectedRefund)
      return `order ${id} shows ${shownRefund} as refunded, expected ${expectedRefund}`;
    orders.set(id, { order, events, times: items.map(({ time }) => Date.parse(time)) });
  }
  const history = orders.get(id);
  const accepted = journal.accepted.get(id);
  if (!history || !accepted) return `order ${id} is unknown`;
  const { order, events } = history;
  if (events[0] !== 'order.created') return `order ${id} begins with ${events[0]}`;
  const invalidStep = events.findIndex(
    (type, place) => place > 0 && !mayFollow(events.slice(0, place), type),
  );
  if (invalidStep > 0)
    return `order ${id}: ${events[invalidStep - 1]} was followed by ${events[invalidStep]}`;
  if (order.version !== events.length)
    return `order ${id} has version ${order.version} after ${events.length} events`;
  const lines = order.items.reduce((sum, { quantity, unit_price }) => sum + quantity * unit_price, 0);
  if (order.total !== accepted.response.total || order.total !== lines)
    return `order ${id} was accepted for ${accepted.response.total}, its total is ${order.total}, the sum of its lines is ${lines}`;
  if (journal.cancelled.has(id) && order.status !== 'CANCELLED')
    return `order ${id} was cancelled and is ${order.status}`;
  return undefined;
}
