import { Overload } from '../../shared/problem.ts';

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

/** Concurrent requests: about three seconds of work on two cores, so that the last one still meets the gateway's timeout. */
const MAX_IN_FLIGHT = 100;
/** Of these, requests younger than `YOUNG_FOR`: older ones wait for a replica (services/decisions/0128-admission-control.md). */
const MAX_YOUNG = 64;
/** Milliseconds. */
const YOUNG_FOR = 1_000;

export function inFlight(youngFor = YOUNG_FOR): InFlight {
  let all = 0;
  let young = 0;

  function demandRoom(): void {
    if (all >= MAX_IN_FLIGHT || young >= MAX_YOUNG)
      throw new Overload('Too many requests are in progress. Try again later.');
  }

  return {
    demandRoom,
    async run(work) {
      demandRoom();
      all += 1;
      young += 1;
      let isYoung = true;
      const age = () => {
        if (isYoung) young -= 1;
        isYoung = false;
      };
      const aging = setTimeout(age, youngFor);
      try {
        return await work();
      } finally {
        clearTimeout(aging);
        age();
        all -= 1;
      }
    },
  };
}
