/** Failures in a row to log in at one address. */
export interface Failures {
  count: number;
  last_at: string;
}

/** Everybody mistypes. */
const FREE = 5;
/** Seconds. */
const LONGEST_WAIT = 60;
/** Failures count as in a row until nobody has failed for this long. Seconds. */
export const FORGOTTEN_AFTER = 3600;

/** The failures with one more. */
export function failedAgain(before: Failures | undefined, now: Date): Failures {
  const count = before && !isForgotten(before, now) ? before.count : 0;
  return { count: count + 1, last_at: now.toISOString() };
}

/** Seconds after the last of that many failures in a row in which nobody may try again: 0, then 1, 2, 4 ... 60. */
export function waitAfter(count: number): number {
  return count < FREE ? 0 : Math.min(LONGEST_WAIT, 2 ** (count - FREE));
}

/** Whole seconds to wait before the next attempt; 0 where it may come now. */
export function secondsToWait(failures: Failures | undefined, now: Date): number {
  if (!failures || isForgotten(failures, now)) return 0;
  return Math.max(0, Math.ceil(waitAfter(failures.count) - secondsSince(failures, now)));
}

const isForgotten = (failures: Failures, now: Date) => secondsSince(failures, now) >= FORGOTTEN_AFTER;
const secondsSince = ({ last_at }: Failures, now: Date) => (now.getTime() - Date.parse(last_at)) / 1000;
