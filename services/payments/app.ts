import type { Express } from 'express';
import { idempotency } from '../shared/idempotency.ts';
import { createService, type ServiceDeps } from '../shared/service.ts';
import { payments as description } from './api.ts';
import { announcer } from './announce-payment.ts';
import { cashier } from './cashier.ts';
import { orders } from './orders.ts';
import { paymentStore } from './payment-store.ts';
import { bounded, type PaymentProvider } from './provider.ts';
import { refundPayment } from './refund-payment.ts';
import { routes } from './routes.ts';
import { events } from './subscriptions.ts';

export interface PaymentsDeps extends ServiceDeps {
  provider: PaymentProvider;
  now: () => Date;
  /** For one call to the provider. Milliseconds. */
  timeoutMs: number;
  maxAttempts: number;
}

/** The payments service. */
export function createApp(deps: PaymentsDeps): Express {
  const provider = bounded(deps.provider, deps.timeoutMs);
  const store = paymentStore(deps.sidecar.state);
  const ask = orders(deps.sidecar);
  const announce = announcer(deps.sidecar);
  const desk = cashier({ ...deps, provider, store, cardOf: ask.cardOf });
  const refunds = refundPayment({ ...deps, store, cashier: desk, orders: ask, announce });
  const once = idempotency({ state: deps.sidecar.state, log: deps.log });
  return createService(deps, {
    description,
    routers: [
      routes({ store, provider, refundPayment: refunds, once }),
      events({ log: deps.log, announce }, desk),
    ],
  });
}
