import { addRequestFields } from '../shared/telemetry/request-context.ts';
import { Router } from 'express';
import { inSpan } from '../shared/telemetry/spans.ts';
import { isRecent } from '../shared/util/time.ts';

import { DEDUPLICATION_WINDOW_MS } from '../shared/dapr/sidecar.ts';
import { id } from '../shared/schemas/types.ts';
import { parsePath } from '../shared/http/validation.ts';
import { createCounter, type Metrics } from '../shared/telemetry/metrics.ts';
import type { ApplyTrigger } from './apply-trigger.ts';
import { nextCheckDelay } from './domain/check-delay.ts';
import { isFinal, replay } from './domain/order.ts';
import { METRICS } from './metrics.ts';
import type { PublishOrderEvent } from './order-event-publisher.ts';
import { jobData, type OrderWatchdogJob } from './order-watchdog-job.ts';
import type { FinishedOrders } from './store/finished-orders.ts';
import { lastEventOf, type OrderStore } from './store/order-store.ts';

/** A request takes less time. Each of its calls has a far shorter limit. */
const MAX_REQUEST_DURATION_MS = 120_000;

/**
 * The Dapr job of an order (`POST /job/order-<id>`). It is scheduled before the order exists, and fires until the order is
 * final. It covers every loss of an event: a request that nothing redelivers, a crash, a broker that forgets.
 */
export function createOrderWatchdog(deps: {
  store: OrderStore;
  finished: FinishedOrders;
  publishEvent: PublishOrderEvent;
  watchdogJob: OrderWatchdogJob;
  applyTrigger: ApplyTrigger;
  metrics: Metrics;
  watchdogIntervalMs: number;
  paymentDeadlineMs: number;
  now: () => Date;
}): Router {
  const { store, finished, publishEvent, watchdogJob, applyTrigger, now } = deps;
  const actions = createCounter(deps.metrics, METRICS.watchdog);
  const router = Router();

  router.post('/job/order-:id', async (req, res) => {
    const orderId = parsePath(id, req.params.id, 'order');
    addRequestFields({ order_id: orderId });
    const { watched_ms } = jobData.parse(req.body);
    await inSpan('check order', {}, () => checkOrder(orderId, watched_ms));
    res.json({});
  });

  async function checkOrder(orderId: string, watchedMs: number): Promise<void> {
    const loaded = await store.load(orderId);
    if (!loaded) {
      // The request that scheduled the job has not written the order. It may still be running.
      const isAbandoned = watchedMs > MAX_REQUEST_DURATION_MS;
      if (isAbandoned) await watchdogJob.cancel(orderId);
      else await watchdogJob.schedule(orderId, deps.watchdogIntervalMs, watchedMs);
      return actions.inc({ action: isAbandoned ? 'abandoned' : 'postponed' });
    }
    const order = replay(orderId, loaded.value.events);
    // The publisher would drop a repeated event so soon. The job fires again.
    if (isRecent(order.updated_at, DEDUPLICATION_WINDOW_MS, now())) return;
    if (isFinal(order)) {
      // guard: republish the last event of a final order
      await publishEvent(loaded.value, order.version);
      // A service that rebuilds its data finds the order in this list when nothing publishes it any more.
      await finished.add(orderId);
      await watchdogJob.cancel(orderId);
      return actions.inc({ action: 'finished' });
    }
    if (watchedMs >= deps.paymentDeadlineMs) {
      const result = await applyTrigger(orderId, { type: 'payment-deadline-passed' });
      if (result?.changed) return actions.inc({ action: 'expired' });
    }
    await publishEvent(loaded.value, order.version);
    actions.inc({ action: 'republished' });
    const sinceLastEventMs = now().getTime() - Date.parse(lastEventOf(loaded.value).time);
    const delayMs = nextCheckDelay(order.status, { lastEvent: sinceLastEventMs, watched: watchedMs }, deps);
    await watchdogJob.schedule(orderId, delayMs, watchedMs);
  }

  return router;
}
