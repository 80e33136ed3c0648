import express, { Router } from 'express';
import { orderBroadcasts } from '../../orders/contract.ts';
import { on, subscriptions } from '../../shared/events.ts';
import type { Logger } from '../../shared/log.ts';
import { BODY_LIMIT, onlyFromSidecar } from '../../shared/service.ts';
import type { LiveOrders } from './live-orders.ts';

/**
 * Receives `orders.changed`, which `orders` broadcasts to every gateway replica. The port is public, so the route itself checks
 * the sidecar's token.
 */
export function liveUpdates(deps: { log: Logger; live: LiveOrders; appApiToken: string }): Router {
  const { log, live, appApiToken } = deps;
  const router = Router();
  router.use(
    '/events/orders.changed',
    onlyFromSidecar(appApiToken),
    express.json({ type: () => true, limit: BODY_LIMIT }),
  );
  router.use(
    subscriptions(log, [
      on(orderBroadcasts, 'orders.changed', async ({ changed }) => {
        for (const { order_id, version } of changed) live.changed(order_id, version);
      }),
    ]),
  );
  return router;
}
