import { addRequestFields } from '../shared/telemetry/request-context.ts';
import { inSpan } from '../shared/telemetry/spans.ts';
import { isRecent } from '../shared/util/time.ts';
import { DEDUPLICATION_WINDOW_MS } from '../shared/dapr/sidecar.ts';
import { createCounter, type Metrics } from '../shared/telemetry/metrics.ts';
import type { ApplyTrigger } from './apply-trigger.ts';
import { nextCheckDelay } from './domain/check-delay.ts';
import { isFinal, replay } from './domain/order.ts';
import { METRICS } from './metrics.ts';
import type { PublishOrderEvent } from './order-event-publisher.ts';
import { lastEventOf, type OrderStore } from './store/order-store.ts';

/**
 * Checks an order that is not known to be finished. It covers every loss of an event: a request that nothing redelivers, a crash, a
 * broker that forgets.
 *
 * @param watchedMs how long the order has been watched, never too high
 * @returns the time until the next check; undefined if the order is finished
 */
export type OrderWatchdog = (orderId: string, watchedMs: number) => Promise<number | undefined>;

export function createOrderWatchdog(deps: {
  store: OrderStore;
  publishEvent: PublishOrderEvent;
  applyTrigger: ApplyTrigger;
  metrics: Metrics;
  watchdogIntervalMs: number;
  paymentDeadlineMs: number;
  now: () => Date;
}): OrderWatchdog {
  const { store, publishEvent, applyTrigger, paymentDeadlineMs, now } = deps;
  const actions = createCounter(deps.metrics, METRICS.watchdog);

  const check: OrderWatchdog = async (orderId, watchedMs) => {
    const document = (await store.load(orderId))?.value;
    if (!document) return undefined;
    const order = replay(orderId, document.events);
    if (document.ended_by_message) {
      actions.inc({ action: 'finished' });
      return undefined;
    }
    // The publisher would drop a repeated event so soon.
    if (isRecent(order.updated_at, DEDUPLICATION_WINDOW_MS, now())) return DEDUPLICATION_WINDOW_MS;
    if (isFinal(order)) {
      // guard: republish the last event of a final order
      await publishEvent(document, order.version);
      actions.inc({ action: 'finished' });
      return undefined;
    }
    const isLate = watchedMs >= paymentDeadlineMs;
    const result = isLate ? await applyTrigger(orderId, { type: 'payment-deadline-passed' }) : undefined;
    if (result?.changed) {
      actions.inc({ action: 'expired' });
      return deps.watchdogIntervalMs;
    }
    await publishEvent(document, order.version);
    actions.inc({ action: 'republished' });
    const sinceLastEventMs = now().getTime() - Date.parse(lastEventOf(document).time);
    return nextCheckDelay(order.status, { lastEvent: sinceLastEventMs, watched: watchedMs }, deps);
  };

  return async (orderId, watchedMs) => {
    addRequestFields({ order_id: orderId });
    return inSpan('check order', {}, () => check(orderId, watchedMs));
  };
}
