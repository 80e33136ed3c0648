import { Problem, notFound, unavailable } from '../shared/problem.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import type { Order } from './contract.ts';
import type { MoveOrder } from './move-order.ts';

/**
 * Cancels an order if it has not been dispatched. Cancelling it again gives the same answer.
 *
 * @param demand looks at the order before; what it throws, the caller gets, and nothing changes
 */
export type CancelOrder = (
  orderId: string,
  reason: string,
  demand?: (order: Order) => void,
) => Promise<Order>;

export function orderCanceller(deps: { move: MoveOrder; sidecar: Sidecar }): CancelOrder {
  const { move, sidecar } = deps;

  return async (orderId, reason, demand) => {
    const asked = await move(orderId, { type: 'cancel', reason }, demand);
    if (!asked) throw notFound('order');
    if (asked.order.status !== 'PAID') return cancelledOr409(asked.order);
    await stopShipment(orderId, reason);
    const stopped = await move(orderId, { type: 'shipment.stopped', reason });
    if (!stopped) throw notFound('order');
    return cancelledOr409(stopped.order);
  };

  /** Fulfilment decides: its answer holds whatever happens here afterwards, as it also says shipment.stopped. */
  async function stopShipment(orderId: string, reason: string): Promise<void> {
    const response = await sidecar.invoke('fulfilment', {
      method: 'POST',
      path: `/shipments/${orderId}/stop`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ reason }),
    });
    if (response.status === 409) throw tooLate('SHIPPED');
    if (response.status !== 200) throw unavailable();
  }
}

function cancelledOr409(order: Order): Order {
  if (order.status !== 'CANCELLED') throw tooLate(order.status);
  return order;
}

function tooLate(status: string): Problem {
  return new Problem(409, 'not-cancellable', `An order that is ${status} cannot be cancelled.`);
}
