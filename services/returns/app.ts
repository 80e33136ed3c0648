import type { Express } from 'express';
import { setTimeout as delay } from 'node:timers/promises';
import { createSubscriptionRouter, onEvent } from '../shared/dapr/subscriptions.ts';
import { createIdempotency } from '../shared/http/idempotency.ts';
import { createService, type ServiceDeps } from '../shared/runtime/service-app.ts';
import { userEvents } from '../users/contract.ts';
import { returns as description } from './api.ts';
import type { ReturnDocument } from './domain/return.ts';
import { createEraseReasons } from './erase-reasons.ts';
import { createInventoryClient } from './inventory-client.ts';
import { createOrderClient } from './order-client.ts';
import { createPaymentClient } from './payment-client.ts';
import { createRequestReturn } from './request-return.ts';
import { createRoutes } from './routes.ts';
import { createReturnStore } from './store/return-store.ts';
import { createSweep } from './sweep.ts';
import { createTransitions } from './transitions.ts';
import { createActivities } from './workflow/activities.ts';
import type { Activities, ReturnEngine } from './workflow/engine.ts';

/** How long a request waits for its workflow. Without the scheduler, Dapr does not answer. The return is saved anyway. */
const FOLLOW_TIMEOUT_MS = 1_000;

export interface ReturnsDeps extends ServiceDeps {
  engine: ReturnEngine;
  windowDays: number;
  parcelMs: number;
  /** The highest price that needs no approval by a person, in minor units. */
  autoApprovalAmount: number;
  now: () => Date;
}

export interface ReturnsApp {
  app: Express;
  /** The steps of the workflows, for the worker. */
  activities: Activities;
  /** Resumes stopped workflows. */
  sweep: () => Promise<void>;
}

/** The returns service. */
export function createReturns(deps: ReturnsDeps): ReturnsApp {
  const { sidecar, engine, log } = deps;
  const store = createReturnStore(sidecar.state);
  const transitions = createTransitions({ ...deps, store });
  const eraseReasons = createEraseReasons(store);

  async function follow({ return_id, milestones }: ReturnDocument): Promise<void> {
    const reached = milestones.length === 1 ? engine.start(return_id) : engine.wake(return_id);
    const followed = reached.catch((err: unknown) =>
      log.warn({ err, return_id }, 'reaching the workflow of a return failed; the sweep tries again'),
    );
    await Promise.race([followed, delay(FOLLOW_TIMEOUT_MS, undefined, { ref: false })]);
  }

  const app = createService(deps, {
    description,
    routers: [
      createRoutes({
        store,
        loadOrder: createOrderClient(sidecar),
        transitions,
        follow,
        requestReturn: createRequestReturn({ ...deps, store }),
        withIdempotency: createIdempotency({ state: sidecar.state, log }),
      }),
      createSubscriptionRouter(deps, [
        onEvent(userEvents, 'user.deleted', ({ user_id }) => eraseReasons(user_id)),
      ]),
    ],
  });
  return {
    app,
    activities: createActivities({
      ...deps,
      store,
      transitions,
      refundReturn: createPaymentClient(sidecar),
      takeBack: createInventoryClient(sidecar),
    }),
    sweep: createSweep({ ...deps, store }),
  };
}
