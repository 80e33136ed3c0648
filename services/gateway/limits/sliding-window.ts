/** The requests of the current and the previous window. */
export interface Counts {
  current: number;
  previous: number;
}

export interface Window {
  /** The maximum of requests per window. */
  limit: number;
  lengthMs: number;
}

/** The share of the previous window within the last `lengthMs`: 1 at its end, 0 one window later. */
export function weightOfPrevious(now: number, { lengthMs }: Window): number {
  return 1 - (now % lengthMs) / lengthMs;
}

/** Requests in the last `lengthMs`, as services/decisions/0126-rate-limits.md estimates them. */
export function estimate({ current, previous }: Counts, now: number, window: Window): number {
  return current + previous * weightOfPrevious(now, window);
}

/** Whether one more request fits. */
export function allowsOneMore(counts: Counts, now: number, window: Window): boolean {
  return estimate(counts, now, window) + 1 <= window.limit;
}

/** Milliseconds until one more request fits, if no other arrives; 0 if it fits now. */
export function retryAfterMs(counts: Counts, now: number, window: Window): number {
  if (allowsOneMore(counts, now, window)) return 0;
  const { limit, lengthMs } = window;
  const { current, previous } = counts;
  const elapsed = now % lengthMs;
  // The previous window fades out: current + previous * (1 - t / length) + 1 <= limit.
  if (current + 1 <= limit) return Math.ceil(lengthMs * (1 - (limit - 1 - current) / previous) - elapsed);
  // The window that runs has to become the previous one, and fade out in its turn.
  return Math.ceil(lengthMs - elapsed + lengthMs * (1 - (limit - 1) / current));
}
