/**
 * Whether `at` lies within the last `withinMs` milliseconds. A future time from a replica with a fast clock is not recent.
 *
 * @param at RFC 3339
 */
export function isRecent(at: string, withinMs: number, now: Date): boolean {
  const age = now.getTime() - Date.parse(at);
  return age >= 0 && age < withinMs;
}
