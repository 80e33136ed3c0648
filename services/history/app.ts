import type { Express } from 'express';
import { idempotency } from '../shared/idempotency.ts';
import { createService, type ServiceDeps } from '../shared/service.ts';
import { history as description } from './api.ts';
import { deadLetterStore } from './store/dead-letter-store.ts';
import { reasonErasure } from './erase-reasons.ts';
import { orders } from './orders.ts';
import { readModelStore } from './store/read-model-store.ts';
import { historyRebuild } from './rebuild-history.ts';
import { totalsRecounter } from './store/recount-totals.ts';
import { routes } from './routes.ts';
import { accountSubscriptions, deadLetterSubscription, orderSubscriptions } from './subscriptions.ts';

export interface HistoryDeps extends ServiceDeps {
  now: () => Date;
}

export function createApp(deps: HistoryDeps): Express {
  const readModel = readModelStore(deps.sidecar.state);
  const deadLetters = deadLetterStore(deps.sidecar.state);
  const streams = orders(deps.sidecar);
  const recountTotals = totalsRecounter(deps.sidecar.state);
  const rebuild = historyRebuild({ ...deps, orders: streams, readModel, recountTotals });
  const erasure = reasonErasure({ ...deps, orders: streams, readModel });
  const once = idempotency({ state: deps.sidecar.state, log: deps.log });
  return createService(deps, {
    description,
    unparsed: [deadLetterSubscription({ ...deps, deadLetters })],
    routers: [
      orderSubscriptions({ ...deps, readModel }),
      accountSubscriptions({ ...deps, erasure }),
      routes({ ...deps, readModel, deadLetters, rebuild, erasure, once }),
    ],
  });
}
