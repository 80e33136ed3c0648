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
 * Fewer than the connections to the sidecar, so that none waits for one. Each may hold a body of 100 KB of a heap of 96 MB.
 */
const MAX_IN_FLIGHT = 200;

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
