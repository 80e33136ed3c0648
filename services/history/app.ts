import type { Express } from 'express';
import { createService, type ServiceDeps } from '../shared/service.ts';
import { deadLetterStore } from './dead-letter-store.ts';
import { readModelStore } from './read-model-store.ts';
import { routes } from './routes.ts';
import { deadLetterSubscription, orderSubscriptions } from './subscriptions.ts';

export interface HistoryDeps extends ServiceDeps {
  now: () => Date;
}

export function createApp(deps: HistoryDeps): Express {
  const readModel = readModelStore(deps.sidecar.state);
  const deadLetters = deadLetterStore(deps.sidecar.state);
  return createService(deps, {
    unparsed: [deadLetterSubscription({ ...deps, deadLetters })],
    routers: [orderSubscriptions({ ...deps, readModel }), routes({ ...deps, readModel, deadLetters })],
  });
}
