import type { Express } from 'express';
import { LRUCache } from 'lru-cache';
import { createService, type ServiceDeps } from '../shared/service.ts';
import { fulfilment as description } from './api.ts';
import { routes } from './routes.ts';
import { shipmentStore } from './shipment-store.ts';
import { events } from './subscriptions.ts';
import { warehouse, type Delays } from './warehouse.ts';

export interface FulfilmentDeps extends ServiceDeps {
  delays: Delays;
  now: () => Date;
}

/** Parcels that may be on their way at a time; of more, orders would be told once more than needed. */
const REMEMBERED = 10_000;

/** The fulfilment service. */
export function createApp(deps: FulfilmentDeps): Express {
  const heard = new LRUCache<string, true>({ max: REMEMBERED });
  const store = shipmentStore(deps.sidecar.state);
  const house = warehouse({ ...deps, heard, store });
  return createService(deps, {
    description,
    routers: [routes(house, store), events({ ...deps, heard }, house)],
  });
}
