import type { Router } from 'express';
import { orderEvents, type Order } from '../orders/contract.ts';
import { on, subscriptions } from '../shared/events.ts';
import { isRecent } from '../shared/recent.ts';
import { aboutOrder, type ServiceDeps } from '../shared/service.ts';
import type { Warehouse } from './warehouse.ts';

/**
 * Milliseconds in which orders hears of a parcel's delivery, even with much to do. With ten seconds, whoever was behind had
 * the delivery said again and again, and came to be further behind.
 */
const HEARD_WITHIN = 30_000;

/** What fulfilment listens to. */
export function events(
  deps: Pick<ServiceDeps, 'log'> & {
    heard: { set: (orderId: string, heard: true) => void };
    now: () => Date;
  },
  warehouse: Warehouse,
): Router {
  const { log, heard, now } = deps;
  /** Orders tells what it was told of the dispatch. Said again, later, it may be that nobody has heard of the delivery. */
  function isEcho({ tracking_number, updated_at }: Order): boolean {
    return tracking_number !== undefined && isRecent(updated_at, HEARD_WITHIN, now());
  }

  return subscriptions(log, [
    on(orderEvents, 'order.paid', async ({ order }) => {
      aboutOrder(order.order_id);
      await warehouse(order.order_id, 'order.paid');
    }),
    on(orderEvents, 'order.shipped', async ({ order }) => {
      aboutOrder(order.order_id);
      heard.set(order.order_id, true);
      if (!isEcho(order)) await warehouse(order.order_id, 'order.shipped');
    }),
  ]);
}
