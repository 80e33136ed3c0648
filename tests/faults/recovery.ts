import type { Told } from './checks/check.ts';
import type { Done } from './attacks/attack.ts';
import type { Accepted } from './journal.ts';
import { SLOW_CARDS } from './load.ts';
import { tally } from './tally.ts';

/** A fault, and how long after its end it could still be felt. */
export interface Recovered extends Done {
  /**
   * Milliseconds from the fault's end until every order that was under way then had gone on by a step; undefined where
   * none was.
   */
  wentOn: number | undefined;
  /**
   * Milliseconds from the fault's end until every order that was accepted while it lasted was final, whatever other faults
   * came meanwhile; undefined where none was accepted.
   */
  allFinal: number | undefined;
}

/** An order that waits for longer than this between two of its events was held up. Milliseconds. */
const HELD_UP = 10_000;

/** Nothing in a run takes so long: what lies so far apart was written by a clock that had been set. */
const CLOCK_WAS_SET_MS = 30 * 60_000;

/** Where orders were held up: how many of them, by the event before and the one after. */
export function heldUp(told: ReadonlyMap<string, Told>): Record<string, number> {
  const steps = [...told.values()].flatMap(({ events, times }) =>
    times.flatMap((time, place) => {
      const waited = time - (times[place - 1] ?? time);
      // Nobody waits for a refund: the shop asks for it whenever it likes.
      return waited > HELD_UP && waited < CLOCK_WAS_SET_MS && events[place] !== 'order.refunded'
        ? [`${events[place - 1]} to ${events[place]}`]
        : [];
    }),
  );
  return tally(steps);
}

/**
 * When the effect of each fault was over, by what the orders' own streams tell. Orders whose provider was slow on purpose
 * say nothing about it, nor do those of which a clock that had been set has written an event.
 */
export function recoveries(
  faults: readonly Done[],
  accepted: ReadonlyMap<string, Accepted>,
  told: ReadonlyMap<string, Told>,
): Recovered[] {
  const orders = [...accepted.values()].flatMap(({ at, body, answer }) => {
    const { events = [], times: all = [] } = told.get(answer.order_id) ?? {};
    const times = all.filter((_, place) => events[place] !== 'order.refunded');
    const finalAt = Math.max(...times);
    const wasSet = times.some((time) => Math.abs(time - at) > CLOCK_WAS_SET_MS);
    const saysNothing = SLOW_CARDS.has(body.payment.card_token) || times.length === 0 || wasSet;
    return saysNothing ? [] : [{ at, times, finalAt }];
  });
  return faults.map((fault) => {
    const { began, ended } = fault;
    const next = orders
      .filter(({ at, finalAt }) => at <= ended && finalAt > ended)
      .map(({ times }) => Math.min(...times.filter((time) => time > ended)));
    const final = orders
      .filter(({ at }) => at >= began && at <= ended)
      .map(({ finalAt }) => Math.max(finalAt, ended));
    return { ...fault, wentOn: sinceEnd(next), allFinal: sinceEnd(final) };

    function sinceEnd(times: readonly number[]): number | undefined {
      return times.length > 0 ? Math.max(...times) - ended : undefined;
    }
  });
}
