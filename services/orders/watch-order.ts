import { Router } from 'express';
import { z } from 'zod';
import { aboutOrder } from '../shared/service.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { timestamp } from '../shared/types.ts';
import { lastEvent, type MoveOrder } from './move-order.ts';
import { isFinal, replay } from './order.ts';
import type { OrderStore } from './order-store.ts';
import { shouldSayAgain } from './saga.ts';
import { messageOf } from './say.ts';

/** What the job of an order carries: when it was set. */
export const jobData = z.object({ since: timestamp });

/** Milliseconds after which a request cannot be under way any more; each of its calls has a far shorter limit. */
const NEVER_WRITTEN_AFTER = 120_000;

/**
 * The durable job of an order (`POST /job/order-<id>`), set before the order exists and fired again and again until the
 * order is final. It covers every way in which a message can be lost: a caller who gets no redelivery, a crash, a broker
 * that forgets.
 */
export function watchOrder(deps: {
  store: OrderStore;
  sidecar: Sidecar;
  move: MoveOrder;
  recheckMs: number;
  expireMs: number;
  now: () => Date;
}): Router {
  const { store, sidecar, move, recheckMs, expireMs, now } = deps;
  const router = Router();

  router.post('/job/order-:id', async (req, res) => {
    const orderId = req.params.id;
    aboutOrder(orderId);
    const { since } = jobData.parse(req.body);
    await look(orderId, now().getTime() - Date.parse(since));
    res.json({});
  });

  async function look(orderId: string, age: number): Promise<void> {
    const loaded = await store.load(orderId);
    if (!loaded) {
      // The request that set the job did not come to write the order. It may still be under way.
      if (age > NEVER_WRITTEN_AFTER) await sidecar.unschedule(`order-${orderId}`);
      return;
    }
    const order = replay(orderId, loaded.value.events);
    if (isFinal(order)) {
      await sidecar.publish(messageOf(loaded.value, order.version));
      return sidecar.unschedule(`order-${orderId}`);
    }
    if (age >= expireMs && (await move(orderId, { type: 'deadline passed' }))?.changed) return;
    const waited = now().getTime() - Date.parse(lastEvent(loaded).time);
    if (shouldSayAgain(waited, recheckMs)) await sidecar.publish(messageOf(loaded.value, order.version));
  }

  return router;
}
