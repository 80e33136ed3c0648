import type { Router } from 'express';
import { orderEventData } from '../orders/contract.ts';
import { on, subscriptions } from '../shared/events.ts';
import { aboutOrder, type ServiceDeps } from '../shared/service.ts';
import type { Warehouse } from './warehouse.ts';

/** What fulfilment listens to. */
export function events({ log }: ServiceDeps, warehouse: Warehouse): Router {
  return subscriptions(
    log,
    (['order.paid', 'order.shipped'] as const).map((type) =>
      on(type, orderEventData, async ({ order }) => {
        aboutOrder(order.order_id);
        await warehouse(order.order_id, type);
      }),
    ),
  );
}
