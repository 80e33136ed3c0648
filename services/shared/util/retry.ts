import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';

/**
 * Repeats `attempt` once a second until it succeeds. Services use it for data that they create at their first start. Until then
 * `/readyz` answers 503.
 */
export async function retryUntilSuccess(
  task: string,
  log: Logger,
  attempt: () => Promise<void>,
): Promise<void> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      log.info({ reason: String(error) }, `${task} failed; retrying in 1 s`);
      await delay(1_000);
    }
  }
}
