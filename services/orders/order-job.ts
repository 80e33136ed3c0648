import type { Sidecar } from '../shared/sidecar.ts';

/** The durable job of an order: `POST /job/order-<id>`, again and again, until it is removed. */
export interface OrderJob {
  /**
   * Sets it, to fire after `pause` milliseconds and then as often until it is set anew or removed.
   *
   * @param since when the order was first watched
   */
  set: (orderId: string, pause: number, since: string) => Promise<void>;
  remove: (orderId: string) => Promise<void>;
}

export function orderJob(sidecar: Pick<Sidecar, 'schedule' | 'unschedule'>): OrderJob {
  return {
    async set(orderId, pause, since) {
      const every = `${Math.round(pause)}ms`;
      await sidecar.schedule(nameOf(orderId), {
        dueTime: every,
        schedule: `@every ${every}`,
        data: { since },
      });
    },
    remove: (orderId) => sidecar.unschedule(nameOf(orderId)),
  };
}

const nameOf = (orderId: string) => `order-${orderId}`;
