import express, { Router } from 'express';
import { orderBroadcasts } from '../../orders/contract.ts';
import { onEvent, createSubscriptionRouter } from '../../shared/dapr/subscriptions.ts';
import type { Logger } from '../../shared/telemetry/logger.ts';
import type { Metrics } from '../../shared/telemetry/metrics.ts';
import { BODY_LIMIT_BYTES, requireAppApiToken } from '../../shared/runtime/service-app.ts';
import type { OrderUpdates } from './feed.ts';

/**
 * Receives `orders.changed`, which `orders` broadcasts to every gateway replica. The port is public, so the route itself checks
 * the sidecar's token.
 */
export function createUpdateSubscription(deps: {
  log: Logger;
  metrics: Metrics;
  updates: OrderUpdates;
  appApiToken: string;
}): Router {
  const { updates, appApiToken } = deps;
  const router = Router();
  router.use(
    '/events/orders.changed',
    requireAppApiToken(appApiToken),
    express.json({ type: () => true, limit: BODY_LIMIT_BYTES }),
  );
  router.use(
    createSubscriptionRouter(deps, [
      onEvent(orderBroadcasts, 'orders.changed', async ({ changed }) => {
        for (const { order_id, version } of changed) updates.notify(order_id, version);
      }),
    ]),
  );
  return router;
}
