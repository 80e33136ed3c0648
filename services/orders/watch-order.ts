import { Router } from 'express';
import { isRecent } from '../shared/recent.ts';
import { aboutOrder } from '../shared/service.ts';
import { QUIET } from '../shared/sidecar.ts';
import { id } from '../shared/types.ts';
import { parsePath } from '../shared/validate.ts';
import type { FinishedOrders } from './finished-orders.ts';
import { lastEvent, type MoveOrder } from './move-order.ts';
import { isFinal, replay } from './order.ts';
import { jobData, type OrderJob } from './order-job.ts';
import type { OrderStore } from './order-store.ts';
import { pauseBeforeNextLook } from './saga.ts';
import type { Say } from './say.ts';

/** After this time a request cannot be under way any more; each of its calls has a far shorter limit. */
const NEVER_WRITTEN_AFTER_MS = 120_000;

/**
 * The durable job of an order (`POST /job/order-<id>`), set before the order exists and fired again and again until the
 * order is final. It covers every way in which a message can be lost: a caller who gets no redelivery, a crash, a broker
 * that forgets.
 */
export function watchOrder(deps: {
  store: OrderStore;
  finished: FinishedOrders;
  say: Say;
  job: OrderJob;
  move: MoveOrder;
  recheckMs: number;
  expireMs: number;
  now: () => Date;
}): Router {
  const { store, finished, say, job, move, recheckMs, expireMs, now } = deps;
  const router = Router();

  router.post('/job/order-:id', async (req, res) => {
    const orderId = parsePath(id, req.params.id, 'order');
    aboutOrder(orderId);
    await look(orderId, jobData.parse(req.body).watched_ms);
    res.json({});
  });

  async function look(orderId: string, watched: number): Promise<void> {
    const loaded = await store.load(orderId);
    if (!loaded) {
      // The request that set the job did not come to write the order. It may still be under way.
      if (watched > NEVER_WRITTEN_AFTER_MS) await job.remove(orderId);
      else await job.set(orderId, recheckMs, watched);
      return;
    }
    const order = replay(orderId, loaded.value.events);
    // What has just moved needs no help, and would not be said again yet; the job comes back.
    if (isRecent(order.updated_at, QUIET, now())) return;
    if (isFinal(order)) {
      await say(loaded.value, order.version);
      // Whoever rebuilds what was made of the messages finds it here when nothing says it any more.
      await finished.add(orderId);
      return job.remove(orderId);
    }
    if (watched >= expireMs && (await move(orderId, { type: 'deadline passed' }))?.changed) return;
    await say(loaded.value, order.version);
    const lastEventMs = now().getTime() - Date.parse(lastEvent(loaded).time);
    const pause = pauseBeforeNextLook(order.status, { lastEvent: lastEventMs, watched }, deps);
    await job.set(orderId, pause, watched);
  }

  return router;
}
