import type { Express } from 'express';
import { LRUCache } from 'lru-cache';
import { createService, type ServiceDeps } from '../shared/runtime/service-app.ts';
import { fulfilment as description } from './api.ts';
import { createRoutes } from './routes.ts';
import { createShipmentProcess, type Delays } from './shipment-process.ts';
import { createShipmentStore } from './store/shipment-store.ts';
import { createSubscriptions } from './subscriptions.ts';

export interface FulfilmentDeps extends ServiceDeps {
  delays: () => Delays;
  now: () => Date;
}

/** Parcels that may be on their way at a time. Beyond it, `orders` publishes `order.shipped` once more than needed. */
const MAX_TRACKED_PARCELS = 10_000;

/** The fulfilment service. */
export function createApp(deps: FulfilmentDeps): Express {
  const orderShippedReceived = new LRUCache<string, true>({ max: MAX_TRACKED_PARCELS });
  const store = createShipmentStore(deps.sidecar.state);
  const shipmentProcess = createShipmentProcess({ ...deps, orderShippedReceived, store });
  return createService(deps, {
    description,
    routers: [
      createRoutes({ shipmentProcess, store }),
      createSubscriptions({ ...deps, orderShippedReceived, shipmentProcess }),
    ],
  });
}
