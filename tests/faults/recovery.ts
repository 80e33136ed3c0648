import type { Told } from './checks/check.ts';
import type { Done } from './attacks/attack.ts';
import type { Accepted } from './journal.ts';
import { SLOW_CARDS } from './load.ts';
import { tally } from './tally.ts';

/** A fault, and how long after its end it could still be felt. */
export interface Recovered extends Done {
  /**
   * Milliseconds from the fault's end until the last order that was accepted while it lasted was final; undefined where
   * none was accepted.
   */
  recovery: number | undefined;
}

/** An order that waits for longer than this between two of its events was held up. Milliseconds. */
const HELD_UP = 10_000;

/** Where orders were held up: how many of them, by the event before and the one after. */
export function heldUp(told: ReadonlyMap<string, Told>): Record<string, number> {
  const steps = [...told.values()].flatMap(({ events, times }) =>
    times.flatMap((time, place) => {
      const before = times[place - 1] ?? time;
      return time - before > HELD_UP ? [`${events[place - 1]} to ${events[place]}`] : [];
    }),
  );
  return tally(steps);
}

/**
 * When the effect of each fault was over, by what the orders' own streams tell. Orders whose provider was slow on purpose
 * say nothing about it, nor do those that a clock ahead of the time has written.
 */
export function recoveries(
  faults: readonly Done[],
  accepted: ReadonlyMap<string, Accepted>,
  told: ReadonlyMap<string, Told>,
  now: number,
): Recovered[] {
  const ended = [...accepted.values()].flatMap(({ at, body, answer }) => {
    const order = told.get(answer.order_id)?.order;
    const finalAt = order ? Date.parse(order.updated_at) : Number.NaN;
    return SLOW_CARDS.has(body.payment.card_token) || !(finalAt < now) ? [] : [{ at, finalAt }];
  });
  return faults.map((fault) => {
    const during = ended.filter(({ at }) => at >= fault.began && at <= fault.ended);
    const last = during.reduce((latest, { finalAt }) => Math.max(latest, finalAt), fault.ended);
    return { ...fault, recovery: during.length > 0 ? last - fault.ended : undefined };
  });
}
