import type { Express, Router } from 'express';
import { createApp as fulfilmentApp } from '../../services/fulfilment/app.ts';
import { createApp as gatewayApp } from '../../services/gateway/app.ts';
import { createApp as historyApp } from '../../services/history/app.ts';
import { createApp as inventoryApp } from '../../services/inventory/app.ts';
import { createApp as notificationsApp } from '../../services/notifications/app.ts';
import { createApp as ordersApp } from '../../services/orders/app.ts';
import { createApp as paymentsApp } from '../../services/payments/app.ts';
import { createSimulatedProvider } from '../../services/payments/simulated-provider.ts';
import type { ServiceDeps } from '../../services/shared/runtime/service-app.ts';
import { createReturns } from '../../services/returns/app.ts';
import { SERVICES } from '../../services/services.ts';
import { createApp as usersApp } from '../../services/users/app.ts';
import { gatewayOptions } from './gateway-options.ts';
import { returnsOptions } from './returns-options.ts';
import { startService } from './service-under-test.ts';
import { createFastPasswords } from './fast-passwords.ts';

const now = () => new Date('2026-01-05T09:30:00.000Z');

/** The factory of each service, by app id. Services that need only the common dependencies are added below. */
export const APPS: Record<string, (deps: ServiceDeps) => Express> = {
  gateway: (deps) => gatewayApp({ ...deps, ...gatewayOptions() }),
  users: (deps) =>
    usersApp({
      ...deps,
      tokenTtlSeconds: 60,
      refreshTtlSeconds: 3_600,
      keyRotationSeconds: 3_600,
      passwords: createFastPasswords(),
      now,
      clock: () => 0,
    }),
  inventory: (deps) => inventoryApp({ ...deps, catalogue: [] }),
  orders: (deps) => ordersApp({ ...deps, watchdogIntervalMs: 1_000, paymentDeadlineMs: 60_000, now }),
  payments: (deps) => {
    const provider = createSimulatedProvider({ state: deps.sidecar.state, now, slowMs: 1_000 });
    return paymentsApp({ ...deps, provider, now, timeoutMs: 1_000, maxAttempts: 4 });
  },
  fulfilment: (deps) =>
    fulfilmentApp({ ...deps, delays: () => ({ dispatchAfterMs: 1_000, deliverAfterMs: 1_000 }), now }),
  notifications: (deps) => notificationsApp({ ...deps, bindings: ['email'] }),
  history: (deps) => historyApp({ ...deps, now }),
  returns: (deps) => createReturns({ ...deps, ...returnsOptions(), now }).app,
};

for (const { name } of SERVICES)
  APPS[name] ??= (
    (await import(`../../services/${name}/app.ts`)) as { createApp: (deps: ServiceDeps) => Express }
  ).createApp;

/** The routes of a service, such as `GET /orders/:id`, except OPTIONS and those for any method. */
export async function routesServedBy(name: string): Promise<string[]> {
  let served: string[] = [];
  const service = await startService((deps) => {
    const app = APPS[name]!(deps);
    served = routesIn(app.router);
    return app;
  });
  await service.stop();
  return served;
}

function routesIn({ stack }: Pick<Router, 'stack'>): string[] {
  return stack.flatMap(({ route, handle }) => {
    if ('stack' in handle) return routesIn(handle as unknown as Router);
    if (!route) return [];
    const methods = new Set(
      route.stack.map(({ method }) => method).filter((method) => method && method !== 'options'),
    );
    return [...methods].map((method) => `${method.toUpperCase()} ${route.path}`);
  });
}
