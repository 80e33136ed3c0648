import { OverloadedError } from '../../shared/http/problem.ts';
import { createCounter, createGauge, type Metrics } from '../../shared/telemetry/metrics.ts';
import { METRICS } from '../metrics.ts';

/** The concurrency limiter for HTTP and gRPC. Streams have their own limit. */
export interface ConcurrencyLimiter {
  /** @throws OverloadedError if the limit is reached */
  assertCapacity: () => void;
  /**
   * Runs `work` and counts it until it ends, even if the client has left.
   *
   * @throws OverloadedError if the limit is reached; `work` does not start
   */
  run: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Concurrent requests: about three seconds of work on two cores, so that the last one still meets the gateway's timeout. */
const MAX_IN_FLIGHT = 100;
/** Of these, requests younger than `RECENT_MS`: older ones wait for a replica (services/decisions/0128-admission-control.md). */
const MAX_RECENT = 64;
const RECENT_MS = 1_000;

export function createConcurrencyLimiter(metrics: Metrics, recentMs = RECENT_MS): ConcurrencyLimiter {
  let all = 0;
  let recent = 0;
  const shed = createCounter(metrics, METRICS.shed);
  createGauge(metrics, METRICS.inProgress, (gauge) => gauge.set({}, all));

  function assertCapacity(): void {
    if (all < MAX_IN_FLIGHT && recent < MAX_RECENT) return;
    shed.inc({});
    throw new OverloadedError('Too many requests are in progress. Try again later.');
  }

  return {
    assertCapacity,
    async run(work) {
      assertCapacity();
      all += 1;
      recent += 1;
      let isRecent = true;
      const expireRecent = () => {
        if (isRecent) recent -= 1;
        isRecent = false;
      };
      const aging = setTimeout(expireRecent, recentMs);
      try {
        return await work();
      } finally {
        clearTimeout(aging);
        expireRecent();
        all -= 1;
      }
    },
  };
}
