import { unwrap } from '../../../services/gateway/client/client.ts';
import { FINAL_STATUSES, type OrderEventType } from '../../../services/orders/contract.ts';
import { replay, type OrderEvent } from '../../../services/orders/domain/order.ts';
import { statusAfter, TRANSITIONS } from '../../../services/orders/domain/state-machine.ts';
import { each, refundedOrders, type Check, type Scene } from './check.ts';

/** Whether the state machine has a way from the events before to this one. */
function mayFollow(before: readonly OrderEventType[], type: OrderEventType): boolean {
  const status = before.map(statusAfter).findLast((one) => one !== undefined);
  return (
    status !== undefined &&
    type !== before.at(-1) &&
    Object.values(TRANSITIONS).some(({ from, appends }) => appends === type && from.includes(status))
  );
}

export const ordersEnd: Check = {
  name: 'orders',
  promise:
    'Every order that was answered with 201 is in a final state, by lawful steps, with the total it was accepted for. It shows a refund if, and only if, one was answered with 200.',
  verify(scene) {
    const refunded = refundedOrders(scene);
    return each(scene.journal.accepted.keys(), (id) => verifyOrder(scene, id, refunded.has(id)));
  },
};

async function verifyOrder(
  { people, journal, orders }: Scene,
  id: string,
  isRefunded: boolean,
): Promise<string | undefined> {
  // Nothing but a refund happens to a final order; that it is shown to nobody in an older version is checked by the load.
  if (!orders.has(id)) {
    const answer = await people.admin('GET /api/orders/:id/events', { params: { id } });
    if (answer.status === 404) return `order ${id} was accepted and is not there`;
    const { items } = unwrap(answer);
    const order = replay(id, items as OrderEvent[]);
    const events = items.map(({ type }) => type);
    if (!FINAL_STATUSES.has(order.status)) return `order ${id} is still ${order.status}`;
    // A cancelled order is refunded, too, and its status says so.
    const shown = order.refunded ?? 0;
    const owed = isRefunded && order.status === 'DELIVERED' ? order.total : 0;
    if (shown !== owed) return `order ${id} shows ${shown} as refunded, ${owed} were given back`;
    orders.set(id, { order, events, times: items.map(({ time }) => Date.parse(time)) });
  }
  const told = orders.get(id);
  const accepted = journal.accepted.get(id);
  if (!told || !accepted) return `order ${id} is not known`;
  const { order, events } = told;
  if (events[0] !== 'order.created') return `order ${id} begins with ${events[0]}`;
  const jump = events.findIndex((type, place) => place > 0 && !mayFollow(events.slice(0, place), type));
  if (jump > 0) return `order ${id}: ${events[jump - 1]} was followed by ${events[jump]}`;
  if (order.version !== events.length)
    return `order ${id} has version ${order.version} after ${events.length} events`;
  const lines = order.items.reduce((sum, { quantity, unit_price }) => sum + quantity * unit_price, 0);
  if (order.total !== accepted.answer.total || order.total !== lines)
    return `order ${id} was accepted for ${accepted.answer.total}, its total is ${order.total}, its lines come to ${lines}`;
  if (journal.cancelled.has(id) && order.status !== 'CANCELLED')
    return `order ${id} was cancelled and is ${order.status}`;
  return undefined;
}
