import { z } from 'zod';
import type { Sidecar } from '../shared/sidecar.ts';
import { inDigits } from '../shared/types.ts';

/**
 * What the job carries: how long the order has been watched when it fires, as the sum of the pauses that the scheduler has
 * waited. No clock of a service can make it wrong: services/decisions/0051-clocks.md. A job that was set by an older
 * version has none, and begins anew.
 */
export const jobData = z.object({ watched_ms: inDigits(z.int().min(0)).prefault(0) });

/** The durable job of an order: `POST /job/order-<id>`, again and again, until it is removed. */
export interface OrderJob {
  /**
   * Sets it, to fire after `pause` milliseconds and then as often until it is set anew or removed.
   *
   * @param watchedMs how long the order has been watched; none: it begins now
   */
  set: (orderId: string, pause: number, watchedMs?: number) => Promise<void>;
  remove: (orderId: string) => Promise<void>;
}

export function orderJob(sidecar: Pick<Sidecar, 'schedule' | 'unschedule'>): OrderJob {
  return {
    async set(orderId, pause, watchedMs = 0) {
      const pauseMs = Math.round(pause);
      const every = `${pauseMs}ms`;
      await sidecar.schedule(nameOf(orderId), {
        dueTime: every,
        schedule: `@every ${every}`,
        data: { watched_ms: String(watchedMs + pauseMs) },
      });
    },
    remove: (orderId) => sidecar.unschedule(nameOf(orderId)),
  };
}

const nameOf = (orderId: string) => `order-${orderId}`;
