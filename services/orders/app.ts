import type { Express } from 'express';
import { idempotency } from '../shared/idempotency.ts';
import { createService, type ServiceDeps } from '../shared/service.ts';
import { orders as description } from './api.ts';
import { orderCanceller } from './cancel-order.ts';
import { changeFeed } from './change-feed.ts';
import { customers } from './customers.ts';
import { reasonEraser } from './erase-reason.ts';
import { finishedOrders } from './finished-orders.ts';
import { intake } from './intake.ts';
import { orderMover } from './move-order.ts';
import { orderJob } from './order-job.ts';
import { orderStore } from './order-store.ts';
import { sayer } from './say.ts';
import { orderPlacer } from './place-order.ts';
import { routes } from './routes.ts';
import { subscriptions } from './subscriptions.ts';
import { watchOrder } from './watch-order.ts';

export interface OrdersDeps extends ServiceDeps {
  recheckMs: number;
  expireMs: number;
  /** Not set: no order is refused because others wait. */
  maxLagMs?: number;
  now: () => Date;
}

export function createApp(deps: OrdersDeps): Express {
  const store = orderStore(deps.sidecar.state);
  const finished = finishedOrders(deps.sidecar.state);
  const say = sayer(deps.sidecar, changeFeed(deps));
  const door = intake(deps.maxLagMs ?? Infinity, performance.now());
  const job = orderJob(deps.sidecar);
  const move = orderMover({ ...deps, store, finished, say, job, intake: door });
  const placeOrder = orderPlacer({ ...deps, store, say, job, intake: door });
  const cancelOrder = orderCanceller({ ...deps, move });
  const once = idempotency({ state: deps.sidecar.state, log: deps.log });
  return createService(deps, {
    description,
    routers: [
      routes({
        store,
        finished,
        demandCustomer: customers(deps.sidecar),
        placeOrder,
        cancelOrder,
        eraseReason: reasonEraser({ ...deps, store }),
        move,
        once,
      }),
      subscriptions({ ...deps, move }),
      watchOrder({ ...deps, store, finished, say, job, move }),
    ],
  });
}
