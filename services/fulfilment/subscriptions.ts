import { addRequestFields } from '../shared/telemetry/request-context.ts';
import type { Router } from 'express';
import { orderEvents, type Order } from '../orders/contract.ts';
import { onEvent, createSubscriptionRouter } from '../shared/dapr/subscriptions.ts';
import { isRecent } from '../shared/util/time.ts';
import { type ServiceDeps } from '../shared/runtime/service-app.ts';
import type { ShipmentProcess } from './shipment-process.ts';

/**
 * `orders` receives a delivery within this time, even under load. With a shorter one, a service that is behind would have the
 * delivery published again and again, and fall further behind.
 */
const ECHO_WINDOW_MS = 30_000;

/** The events that `fulfilment` receives. */
export function createSubscriptions(
  deps: Pick<ServiceDeps, 'log' | 'metrics'> & {
    orderShippedReceived: { set: (orderId: string, received: true) => void };
    shipmentProcess: ShipmentProcess;
    now: () => Date;
  },
): Router {
  const { orderShippedReceived, shipmentProcess, now } = deps;
  /** `orders` publishes the dispatch that it received from here. Much later, it may have missed the delivery. */
  function isEcho({ tracking_number, updated_at }: Order): boolean {
    return tracking_number !== undefined && isRecent(updated_at, ECHO_WINDOW_MS, now());
  }

  return createSubscriptionRouter(deps, [
    onEvent(orderEvents, 'order.paid', async ({ order }) => {
      addRequestFields({ order_id: order.order_id });
      await shipmentProcess.applyTrigger(order.order_id, 'order.paid');
    }),
    onEvent(orderEvents, 'order.shipped', async ({ order }) => {
      addRequestFields({ order_id: order.order_id });
      orderShippedReceived.set(order.order_id, true);
      if (!isEcho(order)) await shipmentProcess.applyTrigger(order.order_id, 'order.shipped');
    }),
  ]);
}
