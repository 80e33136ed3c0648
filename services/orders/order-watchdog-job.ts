import { z } from 'zod';
import type { Sidecar } from '../shared/dapr/sidecar.ts';
import { inDigits } from '../shared/schemas/types.ts';

/**
 * The data of the job: how long the order has been watched when the job fires. It is the sum of the delays that the scheduler
 * has waited, so no clock of a service can make it wrong: services/decisions/0051-clocks.md. A job of an older version
 * carries none and begins with zero.
 */
export const jobData = z.object({ watched_ms: inDigits(z.int().min(0)).prefault(0) });

/** The Dapr job of an order: `POST /job/order-<id>` until it is cancelled. */
export interface OrderWatchdogJob {
  /**
   * Schedules or replaces the job. It fires after `delayMs` and repeats with the same delay.
   *
   * @param watchedMs how long the order has been watched; zero if left out
   */
  schedule: (orderId: string, delayMs: number, watchedMs?: number) => Promise<void>;
  cancel: (orderId: string) => Promise<void>;
}

export function createOrderWatchdogJob(
  sidecar: Pick<Sidecar, 'scheduleJob' | 'deleteJob'>,
): OrderWatchdogJob {
  return {
    async schedule(orderId, delayMs, watchedMs = 0) {
      const roundedMs = Math.round(delayMs);
      const every = `${roundedMs}ms`;
      await sidecar.scheduleJob(nameOf(orderId), {
        dueTime: every,
        schedule: `@every ${every}`,
        data: { watched_ms: String(watchedMs + roundedMs) },
      });
    },
    cancel: (orderId) => sidecar.deleteJob(nameOf(orderId)),
  };
}

const nameOf = (orderId: string) => `order-${orderId}`;
