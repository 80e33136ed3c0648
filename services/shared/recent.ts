/**
 * Whether something happened within the last `withinMs` milliseconds. By the clock of another process, one that is ahead, it
 * may have happened in the future: that is not recent, or it would be for as long as that clock is ahead.
 *
 * @param at when it happened, RFC 3339
 */
export function isRecent(at: string, withinMs: number, now: Date): boolean {
  const age = now.getTime() - Date.parse(at);
  return age >= 0 && age < withinMs;
}
