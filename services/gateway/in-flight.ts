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

/** What two processors do in less than three seconds: who comes last is answered before the gateway gives up on a service. */
const MAX_IN_FLIGHT = 100;
/**
 * Of these, so many may be young: twice what keeps two processors busy. With more, five times the load that can be carried
 * made one answer in ten take ten seconds. What is older waits for a replica that does not answer, and keeps nobody busy.
 */
const MAX_YOUNG = 64;
/** Milliseconds. */
const YOUNG_FOR = 1_000;

export function inFlight(youngFor = YOUNG_FOR): InFlight {
  let all = 0;
  let young = 0;

  function demandRoom(): void {
    if (all >= MAX_IN_FLIGHT || young >= MAX_YOUNG)
      throw new Overload('Too many requests are under way. Please try again.');
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
