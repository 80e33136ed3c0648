/**
 * The files of a new service by their paths. It counts the delivered orders of each customer: an event that it receives, a
 * document that it keeps, and a route that the gateway offers.
 */
export function serviceFiles(name: string): Map<string, string> {
  return new Map([
    [`services/${name}/main.ts`, main(name)],
    [`services/${name}/app.ts`, app(name)],
    [`services/${name}/api.ts`, api(name)],
    [`tests/component/${name}.test.ts`, test(name)],
  ]);
}

const main = (name: string) => `import { runService } from '../shared/runtime/run-service.ts';
import { ${name} } from './api.ts';
import { createApp } from './app.ts';

await runService(process, '${name}', ${name}.config, createApp);
`;

const app = (name: string) => `import { Router, type Express } from 'express';
import { orderEvents } from '../orders/contract.ts';
import { retryOnConflict, type StateStore } from '../shared/dapr/state-store.ts';
import { createSubscriptionRouter, onEvent } from '../shared/dapr/subscriptions.ts';
import { callerOf, canRead } from '../shared/http/caller.ts';
import { notFound } from '../shared/http/problem.ts';
import { parsePath } from '../shared/http/validation.ts';
import { createService, type ServiceDeps } from '../shared/runtime/service-app.ts';
import { id } from '../shared/schemas/types.ts';
import { ${name} as description } from './api.ts';

/** The delivered orders of a customer. A list of ids counts an event once, however often it arrives. */
interface DeliveredOrders {
  order_ids: string[];
}

const keyOf = (customerId: string) => \`delivered:\${customerId}\`;

export function createApp(deps: ServiceDeps): Express {
  const { sidecar } = deps;
  return createService(deps, {
    description,
    routers: [createSubscriptions(deps, sidecar.state), createRoutes(sidecar.state)],
  });
}

function createSubscriptions(deps: ServiceDeps, state: StateStore): Router {
  return createSubscriptionRouter(deps, [
    onEvent(orderEvents, 'order.delivered', ({ order }) =>
      retryOnConflict(async () => {
        const key = keyOf(order.customer_id);
        const stored = await state.get<DeliveredOrders>(key);
        const known = stored?.value.order_ids ?? [];
        if (known.includes(order.order_id)) return;
        const value: DeliveredOrders = { order_ids: [...known, order.order_id] };
        await state.write({ op: 'put', key, value, etag: stored?.etag });
      }),
    ),
  ]);
}

function createRoutes(state: StateStore): Router {
  const router = Router();
  router.get('/api/${name}/:customer_id', async (req, res) => {
    const customerId = parsePath(id, req.params.customer_id, 'customer');
    if (!canRead(callerOf(req), customerId)) throw notFound('customer');
    const stored = await state.get<DeliveredOrders>(keyOf(customerId));
    const delivered = stored?.value.order_ids.length ?? 0;
    res.set('cache-control', 'no-store').json({ customer_id: customerId, delivered });
  });
  return router;
}
`;

const api = (name: string) => `import { z } from 'zod';
import { orderEvents } from '../orders/contract.ts';
import {
  EXAMPLE,
  subscribedTo,
  type ServiceApi,
  type ServiceDescription,
} from '../shared/api-docs/route-table.ts';
import { baseConfig } from '../shared/runtime/config.ts';
import { id } from '../shared/schemas/types.ts';

const ${name}Api = {
  'GET /api/${name}/:customer_id': {
    access: 'customer',
    summary: 'Get the number of delivered orders of a customer',
    params: z.object({ customer_id: id }),
    response: z.object({ customer_id: id, delivered: z.int().min(0) }),
    responseExample: { customer_id: EXAMPLE.customer, delivered: 3 },
  },
} satisfies ServiceApi;

export const ${name} = {
  name: '${name}',
  summary: 'Delivered orders per customer',
  api: ${name}Api,
  events: [],
  calls: {},
  subscribes: [subscribedTo(orderEvents, 'order.delivered')],
  uses: ['state'],
  config: baseConfig,
  state: { 'delivered:{customer_id}': 'The ids of the delivered orders of a customer.' },
  schemas: {},
} satisfies ServiceDescription;
`;

const test = (name: string) => `import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../services/${name}/app.ts';
import { buildOrder } from '../support/orders.ts';
import { startService, type ServiceUnderTest } from '../support/service-under-test.ts';

let service: ServiceUnderTest;
beforeEach(async () => void (service = await startService(createApp)));
afterEach(() => service.stop());

const CUSTOMER = randomUUID();
const get = (caller: string) =>
  service.http
    .get(\`/api/${name}/\${CUSTOMER}\`)
    .set({ 'x-caller-id': caller, 'x-caller-role': 'customer' });

describe('GET /api/${name}/:customer_id', () => {
  it('counts a delivered order once when its event arrives twice', async () => {
    const order = buildOrder({ customer_id: CUSTOMER, status: 'DELIVERED' });
    for (let delivery = 0; delivery < 2; delivery++)
      expect(await service.deliver('order.delivered', { order })).toBe('SUCCESS');
    expect((await get(CUSTOMER)).body).toEqual({ customer_id: CUSTOMER, delivered: 1 });
  });

  it('answers 404 to other customers', async () => {
    expect((await get(randomUUID())).status).toBe(404);
  });
});
`;
