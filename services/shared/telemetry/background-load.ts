import { createCache } from '../util/cached.ts';
import type { Logger } from './logger.ts';
import { withoutTrace } from './request-context.ts';

/** A load starts when the last one is this old. */
const MIN_AGE_MS = 10_000;
/** Loads take at most this share of the time, however much there is to load. */
const MAX_SHARE = 1 / 50;

/**
 * A value that scrapes read without waiting: each call returns the last loaded value, and starts a load if that is old. So a scrape
 * is quick while the state is large or unavailable, and nothing is loaded if nobody scrapes.
 *
 * @returns undefined before the first load
 */
export function createBackgroundLoad<T>(
  what: string,
  log: Logger,
  load: () => Promise<T>,
  clock = () => performance.now(),
): () => T | undefined {
  let tookMs = 0;
  const cache = createCache(async () => {
    const startedAt = clock();
    return load().finally(() => (tookMs = clock() - startedAt));
  }, clock);
  return () => {
    const isDue = cache.attemptAgeMs() >= Math.max(MIN_AGE_MS, tookMs / MAX_SHARE);
    if (isDue && !cache.isLoading())
      withoutTrace(cache.refresh).catch((err: unknown) => log.debug({ err }, `${what}: load failed`));
    return cache.value();
  };
}
