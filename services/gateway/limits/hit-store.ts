import { createClient, defineScript } from '@redis/client';
import { LRUCache } from 'lru-cache';
import type { Logger } from '../../shared/log.ts';
import { fits, weightOfPrevious, type Counts, type Window } from './sliding-window.ts';

/** The result for one request. The counts include the request if it is allowed. */
export interface Hit extends Counts {
  allowed: boolean;
}

/** Counts the requests of callers. A rejected request does not count. */
export interface HitStore {
  hit: (key: string, now: number, window: Window) => Promise<Hit>;
  close: () => Promise<void>;
}

/** The maximum of remembered callers. The least recent callers are dropped. */
const CALLERS = 100_000;

/** Counts in the memory of this process. @param max the maximum of remembered callers; their memory is allocated at once */
export function memoryHits(max = CALLERS): HitStore {
  const callers = new LRUCache<string, Counts & { number: number }>({ max });
  return {
    async hit(key, now, window) {
      const number = Math.floor(now / window.length);
      const last = callers.get(key);
      const counts: Counts =
        last?.number === number
          ? last
          : { current: 0, previous: last?.number === number - 1 ? last.current : 0 };
      const allowed = fits(counts, now, window);
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

/** Redis' timeout and the pause after it, in milliseconds: counting must never delay a request (services/decisions/0126-rate-limits.md). */
const ANSWER_WITHIN = 50;
const ASK_AGAIN_AFTER = 1_000;

/** Counts in a Redis that replicas share. While Redis is unavailable, it counts in memory. */
export function redisHits(url: string, log: Logger): HitStore {
  const memory = memoryHits();
  const client = createClient({
    url,
    scripts: { hit: HIT },
    disableOfflineQueue: true,
    commandsQueueMaxLength: 1_000,
    socket: { connectTimeout: 1_000, reconnectStrategy: (tries) => Math.min(100 * tries, 2_000) },
  });
  let silentUntil = 0;

  function fail(err: unknown): void {
    if (performance.now() > silentUntil)
      log.warn({ err }, 'rate limiter fell back to local counters: Redis unavailable');
    silentUntil = performance.now() + ASK_AGAIN_AFTER;
  }
  client.on('error', fail);
  void client.connect().catch(fail);

  async function shared(key: string, now: number, window: Window): Promise<Hit | undefined> {
    if (!client.isReady || performance.now() < silentUntil) return undefined;
    const number = Math.floor(now / window.length);
    const keyOf = (one: number) => `sidecart:hits:{${key}}:${one}`;
    const asked = client.hit(
      keyOf(number),
      keyOf(number - 1),
      weightOfPrevious(now, window),
      window.limit,
      2 * window.length,
    );
    try {
      const reply = await within(ANSWER_WITHIN, asked);
      return { current: reply[0], previous: reply[1], allowed: reply[2] === 1 };
    } catch (error) {
      fail(error);
      return undefined;
    }
  }

  return {
    // After a timeout, Redis may have counted the request as well, which is on the safe side.
    hit: async (key, now, window) => (await shared(key, now, window)) ?? memory.hit(key, now, window),
    close: async () => client.destroy(),
  };
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
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
export function hitStore(url: string | undefined, log: Logger): HitStore {
  return url === undefined ? memoryHits() : redisHits(url, log);
}
