import { createClient, defineScript } from '@redis/client';
import { LRUCache } from 'lru-cache';
import type { Logger } from '../../shared/telemetry/logger.ts';
import { allowsOneMore, weightOfPrevious, type Counts, type Window } from './sliding-window.ts';

/** The result for one request. The counts include the request if it is allowed. */
export interface Usage extends Counts {
  allowed: boolean;
}

/** Counts the requests of callers. A rejected request does not count. */
export interface RateLimitStore {
  consume: (key: string, now: number, window: Window) => Promise<Usage>;
  close: () => Promise<void>;
}

/** The maximum of remembered callers. The least recent callers are dropped. */
const MAX_TRACKED_CALLERS = 100_000;

/** Counts in the memory of this process. @param max the maximum of remembered callers; their memory is allocated at once */
export function createMemoryStore(max = MAX_TRACKED_CALLERS): RateLimitStore {
  const callers = new LRUCache<string, Counts & { number: number }>({ max });
  return {
    async consume(key, now, window) {
      const number = Math.floor(now / window.lengthMs);
      const last = callers.get(key);
      const counts: Counts =
        last?.number === number
          ? last
          : { current: 0, previous: last?.number === number - 1 ? last.current : 0 };
      const allowed = allowsOneMore(counts, now, window);
      const { previous } = counts;
      const current = counts.current + (allowed ? 1 : 0);
      callers.set(key, { number, current, previous });
      return { current, previous, allowed };
    },
    close: async () => {},
  };
}

/** Checks and counts in one step, so that the replicas together never exceed the limit. */
const HIT = defineScript({
  NUMBER_OF_KEYS: 2,
  SCRIPT: `
    local current = tonumber(redis.call('GET', KEYS[1]) or '0')
    local previous = tonumber(redis.call('GET', KEYS[2]) or '0')
    if current + previous * tonumber(ARGV[1]) + 1 > tonumber(ARGV[2]) then return { current, previous, 0 } end
    current = redis.call('INCR', KEYS[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return { current, previous, 1 }`,
  parseCommand(parser, current: string, previous: string, ...numbers: number[]) {
    parser.pushKey(current);
    parser.pushKey(previous);
    parser.push(...numbers.map(String));
  },
  transformReply: (reply: unknown) => reply as { [key in 0 | 1 | 2]: number },
});

/** Redis' timeout and the pause after it: counting must never delay a request (services/decisions/0126-rate-limits.md). */
const REDIS_TIMEOUT_MS = 50;
const REDIS_BACKOFF_MS = 1_000;

/** Counts in a Redis that replicas share. While Redis is unavailable, it counts in memory. */
export function createRedisStore(url: string, log: Logger): RateLimitStore {
  const memory = createMemoryStore();
  const client = createClient({
    url,
    scripts: { hit: HIT },
    disableOfflineQueue: true,
    commandsQueueMaxLength: 1_000,
    socket: { connectTimeout: 1_000, reconnectStrategy: (tries) => Math.min(100 * tries, 2_000) },
  });
  let redisBackoffUntil = 0;

  function fail(err: unknown): void {
    if (performance.now() > redisBackoffUntil)
      log.warn({ err }, 'rate limiter fell back to local counters: Redis unavailable');
    redisBackoffUntil = performance.now() + REDIS_BACKOFF_MS;
  }
  client.on('error', fail);
  void client.connect().catch(fail);

  async function shared(key: string, now: number, window: Window): Promise<Usage | undefined> {
    if (!client.isReady || performance.now() < redisBackoffUntil) return undefined;
    const number = Math.floor(now / window.lengthMs);
    const keyOf = (one: number) => `sidecart:hits:{${key}}:${one}`;
    const asked = client.hit(
      keyOf(number),
      keyOf(number - 1),
      weightOfPrevious(now, window),
      window.limit,
      2 * window.lengthMs,
    );
    try {
      const reply = await withTimeout(REDIS_TIMEOUT_MS, asked);
      return { current: reply[0], previous: reply[1], allowed: reply[2] === 1 };
    } catch (error) {
      fail(error);
      return undefined;
    }
  }

  return {
    // After a timeout, Redis may have counted the request as well, which is on the safe side.
    consume: async (key, now, window) => (await shared(key, now, window)) ?? memory.consume(key, now, window),
    close: async () => client.destroy(),
  };
}

/** AbortSignal.timeout costs each request more (services/decisions/0130-libraries-and-own-code.md). */
async function withTimeout<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** @param url the URL of the shared Redis, if any */
export function createRateLimitStore(url: string | undefined, log: Logger): RateLimitStore {
  return url === undefined ? createMemoryStore() : createRedisStore(url, log);
}
