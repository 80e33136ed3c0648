import type { Express } from 'express';
import { LRUCache } from 'lru-cache';
import { createSweeper } from '../shared/dapr/sweeper.ts';
import { createWorkList } from '../shared/dapr/work-list.ts';
import { createService, type ServiceDeps } from '../shared/runtime/service-app.ts';
import { fulfilment as description } from './api.ts';
import { createRoutes } from './routes.ts';
import { createShipmentProcess, type Delays } from './shipment-process.ts';
import { createShipmentStore } from './store/shipment-store.ts';
import { createSubscriptions } from './subscriptions.ts';

export interface FulfilmentDeps extends ServiceDeps {
  delays: () => Delays;
  now: () => Date;
  /** Monotonic milliseconds. The default is `performance.now()`. */
  clock?: () => number;
}

/** A parcel moves at most this much later than its time. */
const SWEEP_INTERVAL_MS = 1_000;

/** Parcels that may be on their way at a time. Beyond it, `orders` publishes `order.shipped` once more than needed. */
const MAX_TRACKED_PARCELS = 10_000;

/** The fulfilment service. */
export function createApp(deps: FulfilmentDeps): Express {
  const orderShippedReceived = new LRUCache<string, true>({ max: MAX_TRACKED_PARCELS });
  const store = createShipmentStore(deps.sidecar.state);
  const watched = createWorkList(deps.sidecar.state, deps.now);
  const shipmentProcess = createShipmentProcess({ ...deps, orderShippedReceived, store, watched });
  return createService(deps, {
    description,
    routers: [
      createRoutes({ shipmentProcess, store }),
      createSubscriptions({ ...deps, orderShippedReceived, shipmentProcess }),
      createSweeper({ ...deps, list: watched, everyMs: SWEEP_INTERVAL_MS, look: shipmentProcess.tick }),
    ],
  });
}
