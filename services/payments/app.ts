import type { Express } from 'express';
import { createIdempotency } from '../shared/http/idempotency.ts';
import { createService, type ServiceDeps } from '../shared/runtime/service-app.ts';
import { payments as description } from './api.ts';
import { createOrderClient } from './order-client.ts';
import { createPaymentEventPublisher } from './payment-event-publisher.ts';
import { createPaymentProcessor } from './payment-processor.ts';
import { withTimeout, type PaymentProvider } from './provider.ts';
import { createRefundPayment } from './refund-payment.ts';
import { createRoutes } from './routes.ts';
import { createPaymentStore } from './store/payment-store.ts';
import { createSubscriptions } from './subscriptions.ts';

export interface PaymentsDeps extends ServiceDeps {
  provider: PaymentProvider;
  now: () => Date;
  /** The limit of one call to the provider. */
  timeoutMs: number;
  maxAttempts: number;
}

/** The payments service. */
export function createApp(deps: PaymentsDeps): Express {
  const provider = withTimeout(deps.provider, deps.timeoutMs);
  const store = createPaymentStore(deps.sidecar.state);
  const orders = createOrderClient(deps.sidecar);
  const publisher = createPaymentEventPublisher(deps.sidecar);
  const processor = createPaymentProcessor({ ...deps, provider, store, cardOf: orders.cardOf });
  const refundPayment = createRefundPayment({ ...deps, store, processor, orders, publisher });
  const withIdempotency = createIdempotency({ state: deps.sidecar.state, log: deps.log });
  return createService(deps, {
    description,
    routers: [
      createRoutes({ store, provider, refundPayment, processor, withIdempotency }),
      createSubscriptions({ ...deps, processor, publisher }),
    ],
  });
}
