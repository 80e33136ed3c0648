import { Overload } from '../shared/problem.ts';

/** What the services are asked for at the same time, at both doors: how much that may be. Streams have a bound of their own. */
export interface InFlight {
  /** @throws Overload where there is no room for one more */
  demandRoom: () => void;
  /**
   * Counts `work` until it ends, whether or not somebody still waits for it.
   *
   * @throws Overload, without beginning, where there is no room
   */
  run: <T>(work: () => Promise<T>) => Promise<T>;
}

/**
 * Twice what keeps two processors busy. What is over it is refused in a fraction of the time that it would take to ask: with
 * 200, five times the load that can be carried made one answer in ten take ten seconds.
 */
const MAX_IN_FLIGHT = 64;

export function inFlight(): InFlight {
  let count = 0;

  function demandRoom(): void {
    if (count >= MAX_IN_FLIGHT) throw new Overload('Too many requests are under way. Please try again.');
  }

  return {
    demandRoom,
    async run(work) {
      demandRoom();
      count += 1;
      try {
        return await work();
      } finally {
        count -= 1;
      }
    },
  };
}
