import type { Router } from 'express';
import { orderEventData, paymentRequestedData } from '../orders/contract.ts';
import { cloudEvent, on, subscriptions } from '../shared/events.ts';
import { aboutOrder, type ServiceDeps } from '../shared/service.ts';
import type { Cashier } from './cashier.ts';
import { outcome } from './payment.ts';

/** What payments listens to. */
export function events({ log, sidecar }: ServiceDeps, cashier: Cashier): Router {
  return subscriptions(log, [
    on('payment.requested', paymentRequestedData, async (request) => {
      aboutOrder(request.order.order_id);
      const payment = await cashier.charge(request);
      const { type, data } = outcome(payment);
      await sidecar.publish(
        cloudEvent({
          id: `${payment.payment_id}:${type}`,
          source: 'payments',
          type,
          subject: payment.order_id,
          time: payment.updated_at,
          data,
        }),
      );
    }),
    on('order.cancelled', orderEventData, async ({ order }) => {
      aboutOrder(order.order_id);
      await cashier.endOrder(order, 'order cancelled');
    }),
    on('order.expired', orderEventData, async ({ order }) => {
      aboutOrder(order.order_id);
      await cashier.endOrder(order, 'order expired');
    }),
  ]);
}
