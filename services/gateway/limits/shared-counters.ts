import { createClient, defineScript } from '@redis/client';
import type { Logger } from '../../shared/telemetry/logger.ts';
import { withTimeout } from '../../shared/util/timeout.ts';
import { weightOfPrevious, type Counts, type Window } from './sliding-window.ts';

/** What one replica reports of a caller in a window, and asks. */
export interface Report {
  key: string;
  /** The number of the window. Windows of one length have consecutive numbers. */
  number: number;
  /** Requests that this replica has allowed since its last report. */
  hits: number;
}

/** The counters of all replicas. Every method returns undefined while they are unavailable. */
export interface SharedCounters {
  /** Adds the hits. @returns the requests of all replicas */
  add: (report: Report, lengthMs: number) => Promise<Counts | undefined>;
  /** Adds the hits, and one more if the limit allows it, in one step. */
  take: (report: Report, now: number, window: Window) => Promise<(Counts & { allowed: boolean }) | undefined>;
  close: () => Promise<void>;
}

const COUNT = defineScript({
  NUMBER_OF_KEYS: 2,
  SCRIPT: `
    local current = redis.call('INCRBY', KEYS[1], ARGV[1])
    local previous = tonumber(redis.call('GET', KEYS[2]) or '0')
    local allowed = 0
    if current + previous * tonumber(ARGV[2]) + 1 <= tonumber(ARGV[3]) then
      current = redis.call('INCR', KEYS[1])
      allowed = 1
    end
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    return { current, previous, allowed }`,
  parseCommand(parser, current: string, previous: string, ...numbers: number[]) {
    parser.pushKey(current);
    parser.pushKey(previous);
    parser.push(...numbers.map(String));
  },
  transformReply: (reply: unknown) => reply as { [key in 0 | 1 | 2]: number },
});

/** The script takes no further request below this limit. */
const TAKE_NOTHING = 0;

/** Redis' timeout and the pause after it: counting must never delay a request (services/decisions/0126-rate-limits.md). */
const REDIS_TIMEOUT_MS = 50;
const REDIS_BACKOFF_MS = 1_000;

/** Counters in Redis. */
export function createRedisCounters(url: string, log: Logger): SharedCounters {
  const client = createClient({
    url,
    scripts: { count: COUNT },
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

  async function count({ key, number, hits }: Report, lengthMs: number, weight: number, limit: number) {
    if (!client.isReady || performance.now() < redisBackoffUntil) return undefined;
    const keyOf = (one: number) => `sidecart:hits:{${key}}:${one}`;
    const asked = client.count(keyOf(number), keyOf(number - 1), hits, weight, limit, 2 * lengthMs);
    try {
      const reply = await withTimeout(REDIS_TIMEOUT_MS, asked);
      return { current: reply[0], previous: reply[1], allowed: reply[2] === 1 };
    } catch (error) {
      fail(error);
      return undefined;
    }
  }

  return {
    add: (report, lengthMs) => count(report, lengthMs, 0, TAKE_NOTHING),
    take: (report, now, window) =>
      count(report, window.lengthMs, weightOfPrevious(now, window), window.limit),
    close: async () => client.destroy(),
  };
}
