import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks until the answer satisfies, and gives it.
 *
 * @throws Error with the last answer when the deadline passes
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T>,
  satisfies: (answer: T) => boolean,
  deadlineMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (satisfies(answer)) return answer;
    if (performance.now() > deadline)
      throw new Error(`${what}: not within ${deadlineMs} ms; last seen: ${JSON.stringify(answer)}`);
    await delay(50);
  }
}
