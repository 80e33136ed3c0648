import type { Express } from 'express';
import { createIdempotency } from '../shared/http/idempotency.ts';
import { retryUntilSuccess } from '../shared/util/retry.ts';
import { createService, type ServiceDeps } from '../shared/runtime/service-app.ts';
import { inventory as description } from './api.ts';
import { seed } from './catalogue.ts';
import { createRoutes } from './routes.ts';
import type { NewProduct } from './domain/stock.ts';
import { measureStock } from './stock-metrics.ts';
import { createStockStore } from './store/stock-store.ts';
import { createSubscriptions } from './subscriptions.ts';

/** @param deps.catalogue the products to add at start; existing products stay unchanged */
export function createApp(deps: ServiceDeps & { catalogue: readonly NewProduct[] }): Express {
  const stock = createStockStore(deps.sidecar.state);
  measureStock({ ...deps, stock });
  let seeded = false;
  void retryUntilSuccess('seeding the catalogue', deps.log, () => seed(stock, deps.catalogue)).then(
    () => (seeded = true),
  );
  return createService(deps, {
    description,
    routers: [
      createRoutes(stock, createIdempotency({ state: deps.sidecar.state, log: deps.log })),
      createSubscriptions(deps, stock),
    ],
    isReady: () => seeded,
  });
}
