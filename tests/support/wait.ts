import { setTimeout as delay } from 'node:timers/promises';

/**
 * Polls until the value satisfies the condition `until`, and returns that value.
 *
 * @param options.until by default, the value has to be truthy
 * @param options.pauseMs the pause between two polls
 * @throws Error with the last value when the timeout expires
 */
export async function waitFor<T>(
  description: string,
  poll: () => T | Promise<T>,
  {
    until = Boolean,
    timeoutMs = 20_000,
    pauseMs = 50,
  }: { until?: (value: T) => boolean; timeoutMs?: number | undefined; pauseMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await poll();
    if (until(value)) return value;
    if (performance.now() > deadline)
      throw new Error(
        `waiting for "${description}": timed out after ${timeoutMs} ms; last value: ${JSON.stringify(value)}`,
      );
    await delay(pauseMs);
  }
}

/** The result of a request that may fail for a moment, such as after a start or a fault. */
export async function firstSuccess<T>(description: string, request: () => Promise<T>): Promise<T> {
  const [outcome] = await waitFor(description, () => Promise.allSettled([request()]), {
    until: ([{ status }]) => status === 'fulfilled',
  });
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}
