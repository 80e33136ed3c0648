/** Caches the result of `ask` for `ms` milliseconds. Concurrent callers share one call. Failures are not cached. */
export function keptFor<T>(ms: number, ask: () => Promise<T>): () => Promise<T> {
  let latest: { answer: Promise<T>; until: number } | undefined;
  return () => {
    if (latest && latest.until > performance.now()) return latest.answer;
    const kept = { answer: ask(), until: Infinity };
    latest = kept;
    kept.answer.then(
      () => (kept.until = performance.now() + ms),
      () => (kept.until = 0),
    );
    return kept.answer;
  };
}
