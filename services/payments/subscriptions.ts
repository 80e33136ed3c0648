import type { Router } from 'express';
import { orderEvents } from '../orders/contract.ts';
import { on, subscriptions } from '../shared/events.ts';
import { aboutOrder, type ServiceDeps } from '../shared/service.ts';
import type { Announcer } from './announce-payment.ts';
import type { Cashier } from './cashier.ts';

/** What payments listens to. */
export function events(
  { log, announce }: Pick<ServiceDeps, 'log'> & { announce: Announcer },
  cashier: Cashier,
): Router {
  return subscriptions(log, [
    on(orderEvents, 'payment.requested', async ({ order }) => {
      aboutOrder(order.order_id);
      const payment = await cashier.charge(order);
      await announce.outcome(payment);
      await announce.refund(payment);
    }),
    on(orderEvents, 'order.cancelled', async ({ order }) => {
      aboutOrder(order.order_id);
      await announce.refund(await cashier.endOrder(order, 'order cancelled'));
    }),
    on(orderEvents, 'order.expired', async ({ order }) => {
      aboutOrder(order.order_id);
      await announce.refund(await cashier.endOrder(order, 'order expired'));
    }),
  ]);
}
