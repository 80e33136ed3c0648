import type { Express } from 'express';
import { createService, type ServiceDeps } from '../shared/service.ts';
import { orderCanceller } from './cancel-order.ts';
import { customers } from './customers.ts';
import { orderMover } from './move-order.ts';
import { orderStore } from './order-store.ts';
import { orderPlacer } from './place-order.ts';
import { routes } from './routes.ts';
import { subscriptions } from './subscriptions.ts';
import { watchOrder } from './watch-order.ts';

export interface OrdersDeps extends ServiceDeps {
  recheckMs: number;
  expireMs: number;
  now: () => Date;
}

export function createApp(deps: OrdersDeps): Express {
  const store = orderStore(deps.sidecar.state);
  const move = orderMover({ ...deps, store });
  const placeOrder = orderPlacer({ ...deps, store });
  const cancelOrder = orderCanceller({ ...deps, move });
  return createService(deps, {
    routers: [
      routes({ store, demandCustomer: customers(deps.sidecar), placeOrder, cancelOrder, move }),
      subscriptions({ ...deps, move }),
      watchOrder({ ...deps, store, move }),
    ],
  });
}
