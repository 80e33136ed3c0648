import { OverloadedError } from '../../shared/http/problem.ts';
import { createCounter, createGauge, type Metrics } from '../../shared/telemetry/metrics.ts';
import { METRICS } from '../metrics.ts';

/** The concurrency limiter for HTTP and gRPC. Streams have their own limit. */
export interface ConcurrencyLimiter {
  /** @throws OverloadedError if `run` would reject at once */
  assertCapacity: () => void;
  /**
   * Runs `work` as soon as fewer requests are in progress than the limit, and counts it until it ends, even if the client has left.
   *
   * @throws OverloadedError if too many requests wait, or after a wait of one second; `work` does not start
   */
  run: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Concurrent requests: about three seconds of work on two cores, so that the last one still meets the gateway's timeout. */
const MAX_IN_FLIGHT = 100;
/** Of these, requests younger than `RECENT_MS`: older ones wait for a replica (services/decisions/0128-admission-control.md). */
const MAX_RECENT = 64;
const RECENT_MS = 1_000;
/** Requests that wait for their start. They use no processor. */
const MAX_WAITING = 64;
const MAX_WAIT_MS = 1_000;

export function createConcurrencyLimiter(
  metrics: Metrics,
  { recentMs = RECENT_MS, maxWaiting = MAX_WAITING } = {},
): ConcurrencyLimiter {
  let all = 0;
  let recent = 0;
  const waiting = new Set<() => void>();
  const shed = createCounter(metrics, METRICS.shed);
  createGauge(metrics, METRICS.inProgress, (gauge) => gauge.set({}, all));

  const hasCapacity = () => all < MAX_IN_FLIGHT && recent < MAX_RECENT;

  function overloaded(): OverloadedError {
    shed.inc({});
    return new OverloadedError('Too many requests are in progress. Try again later.');
  }

  function assertCapacity(): void {
    if (!hasCapacity() && waiting.size >= maxWaiting) throw overloaded();
  }

  function waitForCapacity(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(start);
        reject(overloaded());
      }, MAX_WAIT_MS);
      const start = () => {
        clearTimeout(timer);
        resolve();
      };
      waiting.add(start);
    });
  }

  function claim(): void {
    all += 1;
    recent += 1;
  }

  /** Starts the requests that have waited longest. Each has its slot before its promise resolves. */
  function startWaiting(): void {
    for (const start of waiting) {
      if (!hasCapacity()) return;
      waiting.delete(start);
      claim();
      start();
    }
  }

  return {
    assertCapacity,
    async run(work) {
      assertCapacity();
      if (hasCapacity()) claim();
      else await waitForCapacity();
      let isRecent = true;
      const expireRecent = () => {
        if (isRecent) recent -= 1;
        isRecent = false;
        startWaiting();
      };
      const aging = setTimeout(expireRecent, recentMs);
      try {
        return await work();
      } finally {
        clearTimeout(aging);
        all -= 1;
        expireRecent();
      }
    },
  };
}
