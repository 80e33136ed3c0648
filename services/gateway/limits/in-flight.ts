import { Overload } from '../../shared/problem.ts';

/** The concurrency limiter for HTTP and gRPC. Streams have their own limit. */
export interface InFlight {
  /** @throws Overload if the limit is reached */
  demandRoom: () => void;
  /**
   * Runs `work` and counts it until it ends, even if the client has left.
   *
   * @throws Overload if the limit is reached; `work` does not start
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
