/** Attempts that come before a wait is over are refused. */
export interface Wait {
  seconds: number;
  /** RFC 3339. */
  since: string;
}

/** Everybody mistypes. */
const FREE = 5;
const LONGEST_WAIT_SECONDS = 60;

/** Seconds after the last of that many failures in a row in which nobody may try again: 0, then 1, 2, 4 ... 60. */
export function waitAfter(count: number): number {
  return count < FREE ? 0 : Math.min(LONGEST_WAIT_SECONDS, 2 ** (count - FREE));
}

/**
 * Whole seconds to wait before the next attempt; 0 where it may come now. Never more than the wait itself: by the clock of
 * another replica it may have begun in the future.
 */
export function secondsToWait(wait: Wait | undefined, now: Date): number {
  if (!wait) return 0;
  const passed = Math.max(0, (now.getTime() - Date.parse(wait.since)) / 1000);
  return Math.max(0, Math.ceil(wait.seconds - passed));
}
