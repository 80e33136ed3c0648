/**
 * One loaded value with its ages. The ages are monotonic, so a clock that is set changes none of them. Why it is not lru-cache:
 * services/decisions/0130-libraries-and-own-code.md.
 */
export interface Cache<T> {
  /** The last value that was loaded. */
  value: () => T | undefined;
  /** Milliseconds since the load of the value began. Infinite without a value. */
  ageMs: () => number;
  /** Milliseconds since the last load began. */
  attemptAgeMs: () => number;
  /** Milliseconds since a load failed. */
  failureAgeMs: () => number;
  isLoading: () => boolean;
  /** Loads a new value. Concurrent callers share one load. A failed load rejects and leaves the last value. */
  refresh: () => Promise<T>;
}

/** Creates a cache of what `load` returns. The caller decides at which age it calls `refresh`. */
export function createCache<T>(load: () => Promise<T>, clock = () => performance.now()): Cache<T> {
  let latest: { value: T; startedAt: number } | undefined;
  let loading: Promise<T> | undefined;
  let attemptedAt = -Infinity;
  let failedAt = -Infinity;

  async function loadOnce(): Promise<T> {
    const startedAt = (attemptedAt = clock());
    try {
      const value = await load();
      latest = { value, startedAt };
      return value;
    } catch (error) {
      failedAt = clock();
      throw error;
    }
  }

  return {
    value: () => latest?.value,
    ageMs: () => clock() - (latest?.startedAt ?? -Infinity),
    attemptAgeMs: () => clock() - attemptedAt,
    failureAgeMs: () => clock() - failedAt,
    isLoading: () => loading !== undefined,
    refresh: () => (loading ??= loadOnce().finally(() => (loading = undefined))),
  };
}

/** Caches the result of `load` for `ttlMs`. Concurrent callers share one call. Failures are not cached. */
export function cached<T extends object>(ttlMs: number, load: () => Promise<T>): () => Promise<T> {
  const cache = createCache(load);
  return async () => (cache.ageMs() < ttlMs && cache.value()) || cache.refresh();
}
