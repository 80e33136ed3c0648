import { addRequestFields } from '../shared/telemetry/request-context.ts';
import type { Router } from 'express';
import { orderEvents } from '../orders/contract.ts';
import { onEvent, createSubscriptionRouter } from '../shared/dapr/subscriptions.ts';
import { type ServiceDeps } from '../shared/runtime/service-app.ts';
import { paymentEvents } from './contract.ts';
import type { PaymentEventPublisher } from './payment-event-publisher.ts';
import type { PaymentProcessor } from './payment-processor.ts';

/** The events that `payments` receives. */
export function createSubscriptions(
  deps: Pick<ServiceDeps, 'log' | 'metrics'> & {
    processor: PaymentProcessor;
    publisher: PaymentEventPublisher;
  },
): Router {
  const { processor, publisher } = deps;
  return createSubscriptionRouter(deps, [
    onEvent(orderEvents, 'payment.requested', async ({ order }) => {
      addRequestFields({ order_id: order.order_id });
      const payment = await processor.charge(order);
      await publisher.publishOutcome(payment);
      await publisher.publishRefund(payment);
    }),
    onEvent(orderEvents, 'order.cancelled', async ({ order }) => {
      addRequestFields({ order_id: order.order_id });
      await publisher.publishRefund(await processor.reverseForEndedOrder(order, 'order cancelled'));
    }),
    onEvent(orderEvents, 'order.expired', async ({ order }) => {
      addRequestFields({ order_id: order.order_id });
      await publisher.publishRefund(await processor.reverseForEndedOrder(order, 'order expired'));
    }),
    onEvent(paymentEvents, 'refund.requested', async ({ order_id }) => {
      addRequestFields({ order_id });
      await publisher.publishRefund(await processor.refund(order_id));
    }),
  ]);
}
