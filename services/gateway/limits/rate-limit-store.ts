import { LRUCache } from 'lru-cache';
import type { Logger } from '../../shared/telemetry/logger.ts';
import { createRedisCounters, type Report, type SharedCounters } from './shared-counters.ts';
import { allowsOneMore, type Counts, type Window } from './sliding-window.ts';

/** The result for one request. The counts include the request if it is allowed. */
export interface Usage extends Counts {
  allowed: boolean;
}

/** Counts the requests of callers. A rejected request does not count. */
export interface RateLimitStore {
  consume: (key: string, now: number, window: Window) => Promise<Usage>;
  close: () => Promise<void>;
}

/** The requests of one caller in one window, as this replica knows them. */
interface Counter {
  key: string;
  number: number;
  lengthMs: number;
  /** The requests of all replicas at the last report. */
  known: number;
  /** Requests that this replica allowed and has not reported. */
  unreported: number;
  /** Requests in reports without an answer. */
  reporting: number;
}

/** The maximum of counters, two per caller. The least recent ones are dropped. */
const MAX_COUNTERS = 200_000;

/**
 * The share of the limit that a replica may allow before it reports. Each replica can exceed the limit by this share. A limit
 * below 20 is exact, because its share is less than one request (services/decisions/0126-rate-limits.md).
 */
const UNREPORTED_SHARE = 1 / 20;
/** The interval of the reports. */
const REPORT_INTERVAL_MS = 100;
/** Reports of one interval. Further ones follow in the next. */
const MAX_REPORTS = 500;

/**
 * Counts in the memory of this process, and reports to the counters that the replicas share. A request waits for them only if
 * too many requests of its caller are not reported. While they are unavailable, this replica counts alone.
 *
 * @param max the maximum of counters; their memory is allocated at once
 */
export function createRateLimitStore(shared?: SharedCounters, max = MAX_COUNTERS): RateLimitStore {
  const counters = new LRUCache<string, Counter>({ max });
  const due = new Set<Counter>();
  let timer: NodeJS.Timeout | undefined;

  function counterOf(key: string, number: number, lengthMs: number): Counter {
    const name = nameOf(key, number);
    let counter = counters.get(name);
    if (!counter) {
      counter = { key, number, lengthMs, known: 0, unreported: 0, reporting: 0 };
      counters.set(name, counter);
    }
    return counter;
  }

  /** The requests before this one, and whether one more is allowed. */
  function usageOf(counter: Counter, now: number, window: Window): Usage {
    const previous = totalOf(counters.get(nameOf(counter.key, counter.number - 1)));
    const counts = { current: totalOf(counter), previous };
    return { ...counts, allowed: allowsOneMore(counts, now, window) };
  }

  /** Hands the unreported requests of a counter to `send`, and takes over what it learns. */
  async function report<Reply extends Counts>(
    counter: Counter,
    send: (report: Report) => Promise<Reply | undefined>,
  ): Promise<Reply | undefined> {
    const { key, number, lengthMs, unreported: hits } = counter;
    counter.unreported = 0;
    counter.reporting += hits;
    const reply = await send({ key, number, hits });
    counter.reporting -= hits;
    if (reply) {
      counter.known = Math.max(counter.known, reply.current);
      const previous = counterOf(key, number - 1, lengthMs);
      previous.known = Math.max(previous.known, reply.previous);
    } else counter.unreported += hits;
    return reply;
  }

  function scheduleReports(to: SharedCounters): void {
    timer ??= setTimeout(() => {
      timer = undefined;
      for (const counter of [...due].slice(0, MAX_REPORTS)) {
        due.delete(counter);
        void report(counter, (one) => to.add(one, counter.lengthMs));
      }
      if (due.size > 0) scheduleReports(to);
    }, REPORT_INTERVAL_MS).unref();
  }

  return {
    async consume(key, now, window) {
      const number = Math.floor(now / window.lengthMs);
      const counter = counterOf(key, number, window.lengthMs);
      const isExact = counter.unreported + counter.reporting + 1 > window.limit * UNREPORTED_SHARE;
      // Other replicas only add to the count. So a request that is too many here is too many everywhere.
      if (shared && isExact && usageOf(counter, now, window).allowed) {
        const reply = await report(counter, (one) => shared.take(one, now, window));
        if (reply) return reply;
      }
      const usage = usageOf(counter, now, window);
      if (!usage.allowed) return usage;
      counter.unreported += 1;
      if (shared) {
        due.add(counter);
        scheduleReports(shared);
      }
      return { ...usage, current: usage.current + 1 };
    },
    async close() {
      clearTimeout(timer);
      await shared?.close();
    },
  };
}

const nameOf = (key: string, number: number) => `${key}:${number}`;

const totalOf = (counter: Counter | undefined) =>
  counter ? counter.known + counter.unreported + counter.reporting : 0;

/** @param url the URL of the Redis that the replicas share; if undefined, each replica counts alone */
export const createRedisStore = (url: string | undefined, log: Logger): RateLimitStore =>
  createRateLimitStore(url === undefined ? undefined : createRedisCounters(url, log));
