import type { Express } from 'express';
import { idempotency } from '../shared/idempotency.ts';
import { untilDone } from '../shared/run.ts';
import { createService, type ServiceDeps } from '../shared/service.ts';
import { inventory as description } from './api.ts';
import { seed } from './catalogue.ts';
import { inventoryRoutes } from './routes.ts';
import type { NewProduct } from './domain/stock.ts';
import { stockStore } from './store/stock-store.ts';
import { orderSubscriptions } from './subscriptions.ts';

/** @param deps.catalogue the products to add at start; existing products stay unchanged */
export function createApp(deps: ServiceDeps & { catalogue: readonly NewProduct[] }): Express {
  const stock = stockStore(deps.sidecar.state);
  let seeded = false;
  void untilDone('seeding the catalogue', deps.log, () => seed(stock, deps.catalogue)).then(
    () => (seeded = true),
  );
  return createService(deps, {
    description,
    routers: [
      inventoryRoutes(stock, idempotency({ state: deps.sidecar.state, log: deps.log })),
      orderSubscriptions(deps, stock),
    ],
    isReady: () => seeded,
  });
}
