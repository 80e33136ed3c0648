import { ProblemError, notFound, unavailable } from '../shared/http/problem.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { inSpan } from '../shared/telemetry/spans.ts';
import type { ApplyTrigger } from './apply-trigger.ts';
import type { Order } from './contract.ts';

/**
 * Cancels an order if its parcel has not left. Cancelling it again gives the same answer.
 *
 * @param precondition throws to reject the change
 */
export type CancelOrder = (
  orderId: string,
  reason: string,
  precondition?: (order: Order) => void,
) => Promise<Order>;

export function createCancelOrder(deps: { applyTrigger: ApplyTrigger; sidecar: Sidecar }): CancelOrder {
  const { applyTrigger, sidecar } = deps;

  return (orderId, reason, precondition) =>
    inSpan('cancel order', {}, () => cancel(orderId, reason, precondition));

  async function cancel(...[orderId, reason, precondition]: Parameters<CancelOrder>): Promise<Order> {
    const result = await applyTrigger(orderId, { type: 'cancel', reason }, precondition);
    if (!result) throw notFound('order');
    if (result.order.status !== 'PAID') return cancelledOr409(result.order);
    await stopShipment(orderId, reason);
    const stopped = await applyTrigger(orderId, { type: 'shipment.stopped', reason });
    if (!stopped) throw notFound('order');
    return cancelledOr409(stopped.order);
  }

  /** `fulfilment` decides. It also publishes shipment.stopped, so its answer holds even if `orders` crashes now. */
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

function tooLate(status: string): ProblemError {
  return new ProblemError(409, 'not-cancellable', `An order with status ${status} cannot be cancelled.`);
}
