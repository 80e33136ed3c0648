import type { Express } from 'express';
import { createIdempotency } from '../shared/http/idempotency.ts';
import { createSweeper } from '../shared/dapr/sweeper.ts';
import { createWorkList } from '../shared/dapr/work-list.ts';
import { createService, type ServiceDeps } from '../shared/runtime/service-app.ts';
import { createGauge } from '../shared/telemetry/metrics.ts';
import { orders as description } from './api.ts';
import { createApplyTrigger } from './apply-trigger.ts';
import { createCancelOrder } from './cancel-order.ts';
import { createChangeFeed } from './change-feed.ts';
import { createCustomerClient } from './customer-client.ts';
import { createAdmissionControl } from './domain/admission-control.ts';
import { createEraseReason } from './erase-reason.ts';
import { METRICS } from './metrics.ts';
import { createOrderEventPublisher } from './order-event-publisher.ts';
import { createOrderWatchdog } from './order-watchdog.ts';
import { createPlaceOrder } from './place-order.ts';
import { createRoutes } from './routes.ts';
import { createAllOrders, createFinishedOrders } from './store/finished-orders.ts';
import { createOrderStore } from './store/order-store.ts';
import { createSubscriptions } from './subscriptions.ts';

export interface OrdersDeps extends ServiceDeps {
  watchdogIntervalMs: number;
  paymentDeadlineMs: number;
  /** Left out: no order is shed because others wait. */
  maxQueueWaitMs?: () => number;
  now: () => Date;
  /** Monotonic milliseconds. The default is `performance.now()`. */
  clock?: () => number;
}

/** The watchdog looks for orders that are due this often. */
const SWEEP_INTERVAL_MS = 2_000;

/** The orders service. */
export function createApp(deps: OrdersDeps): Express {
  const store = createOrderStore(deps.sidecar.state);
  const finished = createFinishedOrders(deps.sidecar.state);
  const publishEvent = createOrderEventPublisher(deps.sidecar, createChangeFeed(deps));
  const watched = createWorkList(deps.sidecar.state, deps.now);
  const admission = createAdmissionControl(deps.maxQueueWaitMs ?? (() => Infinity), performance.now());
  createGauge(deps.metrics, METRICS.queued, (gauge) => gauge.set({}, admission.queued(performance.now())));
  const applyTrigger = createApplyTrigger({ ...deps, store, watched, publishEvent, admission });
  const placeOrder = createPlaceOrder({ ...deps, store, watched, publishEvent, admission });
  const cancelOrder = createCancelOrder({ ...deps, applyTrigger });
  const withIdempotency = createIdempotency({ state: deps.sidecar.state, log: deps.log });
  return createService(deps, {
    description,
    routers: [
      createRoutes({
        store,
        allOrders: createAllOrders(watched, finished),
        assertCustomerExists: createCustomerClient(deps.sidecar).assertCustomerExists,
        placeOrder,
        cancelOrder,
        eraseReason: createEraseReason({ ...deps, store }),
        applyTrigger,
        withIdempotency,
      }),
      createSubscriptions({ ...deps, applyTrigger }),
      createSweeper({
        ...deps,
        list: watched,
        everyMs: SWEEP_INTERVAL_MS,
        look: createOrderWatchdog({ ...deps, store, publishEvent, applyTrigger }),
        settle: finished.append,
      }),
    ],
  });
}
