import type { Router } from 'express';
import { orderEvents } from '../orders/contract.ts';
import { cloudEvent, on, subscriptions } from '../shared/events.ts';
import { aboutOrder, type ServiceDeps } from '../shared/service.ts';
import type { Cashier } from './cashier.ts';
import { paymentEvents } from './contract.ts';
import { outcome } from './payment.ts';

/** What payments listens to. */
export function events({ log, sidecar }: ServiceDeps, cashier: Cashier): Router {
  return subscriptions(log, [
    on(orderEvents, 'payment.requested', async ({ order }) => {
      aboutOrder(order.order_id);
      const payment = await cashier.charge(order);
      const { type, data } = outcome(payment);
      await sidecar.publish(
        cloudEvent(paymentEvents, {
          id: `${payment.payment_id}:${type}`,
          type,
          subject: payment.order_id,
          time: payment.updated_at,
          data,
        }),
      );
    }),
    on(orderEvents, 'order.cancelled', async ({ order }) => {
      aboutOrder(order.order_id);
      await cashier.endOrder(order, 'order cancelled');
    }),
    on(orderEvents, 'order.expired', async ({ order }) => {
      aboutOrder(order.order_id);
      await cashier.endOrder(order, 'order expired');
    }),
  ]);
}
