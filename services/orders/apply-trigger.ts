import type { Metrics } from '../shared/telemetry/metrics.ts';
import type { WorkList } from '../shared/dapr/work-list.ts';
import { retryOnConflict, type StateEntry } from '../shared/dapr/state-store.ts';
import { inSpan, recordCompensation } from '../shared/telemetry/spans.ts';
import type { Order } from './contract.ts';
import type { AdmissionControl } from './domain/admission-control.ts';
import { append, isFinal, isUnpaid, replay, type OrderEvent } from './domain/order.ts';
import { decide, EVENT_RULES, type Trigger } from './domain/state-machine.ts';
import { comesOnce, COMPLETE_STATUSES } from './domain/statuses.ts';
import type { PublishOrderEvent } from './order-event-publisher.ts';
import { lastEventOf, type OrderDocument, type OrderStore } from './store/order-store.ts';
import { createTransitionRecorder } from './transition-recorder.ts';

export interface TransitionResult {
  order: Order;
  /** Whether the trigger changed the order. */
  changed: boolean;
}

/**
 * Applies a trigger to an order: load, decide, save, publish.
 *
 * It is safe to run twice. The ETag guards the write. The id of an event derives from the order's id and version, so a
 * repeated publish carries the same id.
 *
 * @param precondition throws to reject the change, for example if an ETag is stale
 * @returns undefined if the order does not exist
 */
export type ApplyTrigger = (
  orderId: string,
  trigger: Trigger,
  precondition?: (order: Order) => void,
) => Promise<TransitionResult | undefined>;

export function createApplyTrigger(deps: {
  store: OrderStore;
  watched: Pick<WorkList, 'add'>;
  publishEvent: PublishOrderEvent;
  admission: Pick<AdmissionControl, 'onTransition'>;
  watchdogIntervalMs: number;
  metrics: Metrics;
  now: () => Date;
}): ApplyTrigger {
  const { store, watched, publishEvent, admission, watchdogIntervalMs, now } = deps;
  const recordTransition = createTransitionRecorder(deps.metrics);

  const applyOnce: ApplyTrigger = async (orderId, trigger, precondition) => {
    const recalled = precondition ? undefined : store.recall(orderId);
    let decided = recalled && decideOn(recalled, trigger);
    // Only a save proves that the recalled version was not outdated.
    if (!decided || decided.decision.append.length === 0) {
      const loaded = await store.load(orderId);
      if (!loaded) return undefined;
      decided = decideOn(loaded, trigger);
    }
    const { loaded, order, decision } = decided;
    precondition?.(order);

    const [event, ...following] = decision.append;
    if (!event) {
      if (decision.republishLast) await publishEvent(loaded.value, order.version);
      return { order, changed: false };
    }
    if (decision.publishLastFirst) await publishEvent(loaded.value, order.version);

    const at = now();
    const events = append(loaded.value.events, [event], at.toISOString());
    const after = replay(orderId, events);
    const document = documentAfter(loaded.value, events, {
      after,
      isEnd: !isFinal(order) && COMPLETE_STATUSES.has(after.status) && !comesOnce(trigger),
    });
    // The watchdog of a final order may have ended. It comes back to publish this event once more.
    const watch = isFinal(order) ? [watched.add(orderId, watchdogIntervalMs)] : [];

    // guard: save before publishing
    await store.save(document, loaded, ...watch);
    recordTransition({ events, from: order.status, trigger: trigger.type });
    admission.onTransition(event.type, at.getTime() - Date.parse(order.created_at), performance.now());
    // guard: publish after saving
    await publishEvent(document, after.version);
    // The text of any other trigger may be one that a person wrote.
    if (EVENT_RULES[event.type].compensates)
      recordCompensation(trigger.type === 'payment.failed' ? trigger.reason : trigger.type);

    // A trigger that overtakes another one appends two events. Each is saved and published by itself.
    if (following.length > 0) return applyOnce(orderId, trigger, precondition);
    return { order: after, changed: true };
  };

  return (orderId, trigger, precondition) =>
    inSpan('apply trigger', { 'order.trigger': trigger.type }, () =>
      retryOnConflict(() => applyOnce(orderId, trigger, precondition)),
    );
}

function decideOn(loaded: StateEntry<OrderDocument>, trigger: Trigger) {
  const order = replay(loaded.value.order_id, loaded.value.events);
  return { loaded, order, decision: decide(order, lastEventOf(loaded.value).type, trigger) };
}

/** The document of an order with a new event. `isEnd`: the event ends the order, and a redelivered message republishes it. */
function documentAfter(
  before: OrderDocument,
  events: OrderEvent[],
  { after, isEnd }: { after: Order; isEnd: boolean },
): OrderDocument {
  const { ended_by_message: _, ...rest } = before;
  let document: OrderDocument = { ...rest, events, ...(isEnd ? { ended_by_message: true } : {}) };
  // guard: erase the card of a decided payment
  if (!isUnpaid(after)) document = withoutCard(document);
  return document;
}

function withoutCard(document: OrderDocument): OrderDocument {
  const { payment: _, ...rest } = document;
  return rest;
}
