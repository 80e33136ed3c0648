import type { OrderHistory } from './checks/check.ts';
import type { CompletedFault } from './attacks/attack.ts';
import type { AcceptedOrder } from './journal.ts';
import { SLOW_CARDS } from './load.ts';
import { tally } from './tally.ts';

/** A fault and the duration of its effect. */
export interface RecoveredFault extends CompletedFault {
  /**
   * The time from the end of the fault until every order in progress had its next event. Undefined if none was in
   * progress.
   */
  continuedAfterMs: number | undefined;
  /**
   * The time from the end of the fault until every order that was accepted during it was final. Other faults may have
   * contributed. Undefined if none was accepted.
   */
  finalAfterMs: number | undefined;
}

/** A longer gap between two events of an order counts as a delay. */
const DELAYED_AFTER_MS = 10_000;

/** The maximum plausible time between two events. A longer one comes from a clock that was set. */
const MAX_PLAUSIBLE_MS = 30 * 60_000;

/** What an administrator or a customer may request at any time after the delivery. */
const AFTER_THE_END: ReadonlySet<string> = new Set(['order.refunded', 'order.returned']);

/** Counts delayed orders by the events before and after the delay. */
export function findDelayedSteps(histories: ReadonlyMap<string, OrderHistory>): Record<string, number> {
  const steps = [...histories.values()].flatMap(({ events, times }) =>
    times.flatMap((time, place) => {
      const delayMs = time - (times[place - 1] ?? time);
      return delayMs > DELAYED_AFTER_MS &&
        delayMs < MAX_PLAUSIBLE_MS &&
        !AFTER_THE_END.has(events[place] ?? '')
        ? [`${events[place - 1]} to ${events[place]}`]
        : [];
    }),
  );
  return tally(steps);
}

/**
 * Measures the effect of each fault by the streams of the orders. Orders with a slow card or with a time from a wrong clock
 * are left out.
 */
export function measureRecoveries(
  faults: readonly CompletedFault[],
  accepted: ReadonlyMap<string, AcceptedOrder>,
  histories: ReadonlyMap<string, OrderHistory>,
): RecoveredFault[] {
  const orders = [...accepted.values()].flatMap(({ at, body, response }) => {
    const { events = [], times: all = [] } = histories.get(response.order_id) ?? {};
    const times = all.filter((_, place) => !AFTER_THE_END.has(events[place] ?? ''));
    const finalAt = Math.max(...times);
    const hasWrongClock = times.some((time) => Math.abs(time - at) > MAX_PLAUSIBLE_MS);
    const isInconclusive = SLOW_CARDS.has(body.payment.card_token) || times.length === 0 || hasWrongClock;
    return isInconclusive ? [] : [{ at, times, finalAt }];
  });
  return faults.map((fault) => {
    const { startedAt, endedAt } = fault;
    const next = orders
      .filter(({ at, finalAt }) => at <= endedAt && finalAt > endedAt)
      .map(({ times }) => Math.min(...times.filter((time) => time > endedAt)));
    const final = orders
      .filter(({ at }) => at >= startedAt && at <= endedAt)
      .map(({ finalAt }) => Math.max(finalAt, endedAt));
    return { ...fault, continuedAfterMs: sinceEnd(next), finalAfterMs: sinceEnd(final) };

    function sinceEnd(times: readonly number[]): number | undefined {
      return times.length > 0 ? Math.max(...times) - endedAt : undefined;
    }
  });
}
