/**
 * The maximum difference of two replicas' clocks. Code that compares its clock with the time of another replica must tolerate
 * this difference (services/decisions/0022-clocks.md).
 */
export const CLOCKS_APART_SECONDS = 3_600;

/**
 * Whether `at` lies within the last `withinMs` milliseconds. A future time from a replica with a fast clock is not recent.
 *
 * @param at RFC 3339
 */
export function isRecent(at: string, withinMs: number, now: Date): boolean {
  const age = now.getTime() - Date.parse(at);
  return age >= 0 && age < withinMs;
}
