/**
 * What `ask` gives, told again for `ms` milliseconds after it came, so that no number of callers makes it ask more often.
 * Who comes while it is being asked for gets the same answer. A failure is not kept.
 */
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
