import { createCounter, createHistogram, type Metrics } from '../shared/telemetry/metrics.ts';
import { isFinal, statusEnteredAt, type OrderEvent } from './domain/order.ts';
import { EVENT_RULES, statusAfter, type OrderStatus, type TriggerType } from './domain/state-machine.ts';
import { METRICS } from './metrics.ts';

/** A transition that was saved. */
interface SavedTransition {
  /** The stream with the event of the transition. */
  events: readonly OrderEvent[];
  /** The status before the transition. */
  from: OrderStatus;
  trigger: TriggerType;
}

/** Creates the function that counts and measures each transition of an order. */
export function createTransitionRecorder(metrics: Metrics): (transition: SavedTransition) => void {
  const transitions = createCounter(metrics, METRICS.transitions);
  const compensations = createCounter(metrics, METRICS.compensations);
  const decisionDuration = createHistogram(metrics, METRICS.decisionDuration);
  const sagaDuration = createHistogram(metrics, METRICS.sagaDuration);
  const statusDuration = createHistogram(metrics, METRICS.statusDuration);

  return ({ events, from, trigger }) => {
    const [created, last] = [events[0], events.at(-1)];
    if (!created || !last || last.type === 'order.created') return;
    transitions.inc({ event: last.type });
    if (EVENT_RULES[last.type].compensates) compensations.inc({ reason: trigger });
    const to = statusAfter(last.type);
    if (!to || to === from) return;
    const secondsSince = (time: string) => Math.max(0, Date.parse(last.time) - Date.parse(time)) / 1000;
    statusDuration.observe({ status: from }, secondsSince(statusEnteredAt(events.slice(0, -1))));
    if (isDecision(to)) decisionDuration.observe({ status: to }, secondsSince(created.time));
    if (isFinal({ status: to })) sagaDuration.observe({ status: to }, secondsSince(created.time));
  };
}

type Decision = (typeof METRICS.decisionDuration.labels.status)[number];
const DECISIONS: readonly OrderStatus[] = METRICS.decisionDuration.labels.status;

/** Whether an order in this status has just been paid or refused. */
function isDecision(status: OrderStatus): status is Decision {
  return DECISIONS.includes(status);
}
