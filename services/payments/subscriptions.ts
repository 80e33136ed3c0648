import type { Router } from 'express';
import { orderEvents } from '../orders/contract.ts';
import { on as onEvent, subscriptions } from '../shared/events.ts';
import { aboutOrder, type ServiceDeps } from '../shared/service.ts';
import type { PaymentEventPublisher } from './payment-event-publisher.ts';
import type { PaymentProcessor } from './payment-processor.ts';

/** The events that `payments` receives. */
export function createSubscriptions(
  deps: Pick<ServiceDeps, 'log'> & { processor: PaymentProcessor; publisher: PaymentEventPublisher },
): Router {
  const { log, processor, publisher } = deps;
  return subscriptions(log, [
    onEvent(orderEvents, 'payment.requested', async ({ order }) => {
      aboutOrder(order.order_id);
      const payment = await processor.charge(order);
      await publisher.publishOutcome(payment);
      await publisher.publishRefund(payment);
    }),
    onEvent(orderEvents, 'order.cancelled', async ({ order }) => {
      aboutOrder(order.order_id);
      await publisher.publishRefund(await processor.reverseForEndedOrder(order, 'order cancelled'));
    }),
    onEvent(orderEvents, 'order.expired', async ({ order }) => {
      aboutOrder(order.order_id);
      await publisher.publishRefund(await processor.reverseForEndedOrder(order, 'order expired'));
    }),
  ]);
}
