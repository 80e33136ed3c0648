/** The failures of an address. Attempts during the wait are rejected. */
export interface Wait {
  seconds: number;
  /** RFC 3339. */
  since: string;
}

/** The failures without a wait. */
const FREE_ATTEMPTS = 5;
const LONGEST_WAIT_SECONDS = 60;

/** The wait in seconds after this many consecutive failures: 0, then 1, 2, 4 ... 60. */
export function waitAfter(count: number): number {
  return count < FREE_ATTEMPTS ? 0 : Math.min(LONGEST_WAIT_SECONDS, 2 ** (count - FREE_ATTEMPTS));
}

/**
 * Whole seconds until the next attempt is allowed; 0 if it is allowed now. The result never exceeds the wait, although
 * another replica's clock may be ahead.
 */
export function secondsToWait(wait: Wait | undefined, now: Date): number {
  if (!wait) return 0;
  const passed = Math.max(0, (now.getTime() - Date.parse(wait.since)) / 1000);
  return Math.max(0, Math.ceil(wait.seconds - passed));
}
