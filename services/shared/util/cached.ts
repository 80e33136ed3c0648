/** Caches the result of `load` for `ttlMs`. Concurrent callers share one call. Failures are not cached. */
export function cached<T>(ttlMs: number, load: () => Promise<T>): () => Promise<T> {
  let latest: { answer: Promise<T>; until: number } | undefined;
  return () => {
    if (latest && latest.until > performance.now()) return latest.answer;
    const kept = { answer: load(), until: Infinity };
    latest = kept;
    kept.answer.then(
      () => (kept.until = performance.now() + ttlMs),
      () => (kept.until = 0),
    );
    return kept.answer;
  };
}
