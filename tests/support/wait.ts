import { setTimeout as delay } from 'node:timers/promises';

/**
 * Polls until the value satisfies the condition `until`, and returns that value.
 *
 * @param options.until by default, the value has to be truthy
 * @throws Error with the last value when the timeout expires
 */
export async function waitFor<T>(
  description: string,
  poll: () => T | Promise<T>,
  {
    until = Boolean,
    timeoutMs = 20_000,
  }: { until?: (value: T) => boolean; timeoutMs?: number | undefined } = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await poll();
    if (until(value)) return value;
    if (performance.now() > deadline)
      throw new Error(
        `waiting for "${description}": timed out after ${timeoutMs} ms; last value: ${JSON.stringify(value)}`,
      );
    await delay(50);
  }
}
