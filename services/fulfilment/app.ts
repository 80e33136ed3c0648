import type { Express } from 'express';
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

/** The fulfilment service. */
export function createApp(deps: FulfilmentDeps): Express {
  const house = warehouse({ ...deps, store: shipmentStore(deps.sidecar.state) });
  return createService(deps, {
    description,
    routers: [routes(house), events(deps, house)],
  });
}
