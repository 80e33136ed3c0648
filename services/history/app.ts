import type { Express } from 'express';
import { createIdempotency } from '../shared/http/idempotency.ts';
import { createService, type ServiceDeps } from '../shared/runtime/service-app.ts';
import { history as description } from './api.ts';
import { createDeadLetterStore } from './store/dead-letter-store.ts';
import { measureOpenOrders } from './open-order-metrics.ts';
import { createReasonErasure } from './reason-erasure.ts';
import { createOrderClient } from './order-client.ts';
import { createReadModelStore } from './store/read-model-store.ts';
import { createHistoryRebuild } from './history-rebuild.ts';
import { createRecountTotals } from './store/recount-totals.ts';
import { createRoutes } from './routes.ts';
import {
  createAccountSubscriptions,
  createDeadLetterSubscription,
  createOrderSubscriptions,
} from './subscriptions.ts';

export interface HistoryDeps extends ServiceDeps {
  now: () => Date;
}

export function createApp(deps: HistoryDeps): Express {
  const readModel = createReadModelStore(deps.sidecar.state);
  measureOpenOrders({ ...deps, readModel });
  const deadLetters = createDeadLetterStore(deps.sidecar.state);
  const streams = createOrderClient(deps.sidecar);
  const recountTotals = createRecountTotals(deps.sidecar.state);
  const rebuild = createHistoryRebuild({ ...deps, orders: streams, readModel, recountTotals });
  const erasure = createReasonErasure({ ...deps, orders: streams, readModel });
  const withIdempotency = createIdempotency({ state: deps.sidecar.state, log: deps.log });
  return createService(deps, {
    description,
    rawRouters: [createDeadLetterSubscription({ ...deps, deadLetters })],
    routers: [
      createOrderSubscriptions({ ...deps, readModel }),
      createAccountSubscriptions({ ...deps, erasure }),
      createRoutes({ ...deps, readModel, deadLetters, rebuild, erasure, withIdempotency }),
    ],
  });
}
