import type { RunningSystem } from '../../deploy/local/system/system.ts';
import { createClient } from '../../services/gateway/client/client.ts';
import { register } from './shop.ts';
import { waitFor } from './wait.ts';

/** The result of many orders at once against an idle system. */
export interface Burst {
  accepted: number;
  /** Answers with 429 or 503. */
  shed: number;
  /** Until the last answer. */
  answeredMs: number;
  /** Until the last accepted order is delivered. */
  deliveredMs: number;
}

/** Places orders from many clients at once. Each client sends its next order after the answer to its last one. */
export async function placeBurst(
  system: RunningSystem,
  { clients, orders, product }: { clients: number; orders: number; product: (count: number) => string },
): Promise<Burst> {
  const gateway = createClient(system.urls.api, undefined, { connections: clients });
  const customer = await gateway.logIn(await register(gateway));
  const ids: string[] = [];
  let [sent, shed] = [0, 0];
  const started = performance.now();
  const elapsedMs = () => performance.now() - started;

  async function send(): Promise<void> {
    while (sent < orders) {
      const product_id = product(sent++);
      const answer = await customer('POST /api/orders', {
        body: { items: [{ product_id, quantity: 1 }], payment: { method: 'card', card_token: 'tok_visa' } },
      });
      if (answer.ok) ids.push(answer.body.order_id);
      else if (answer.status === 429 || answer.status === 503) shed += 1;
      else throw new Error(`POST /api/orders answered ${answer.status}`);
    }
  }

  try {
    await Promise.all(Array.from({ length: clients }, send));
    const answeredMs = elapsedMs();
    for (const id of ids)
      await waitFor(
        `order ${id} is delivered`,
        async () => {
          const answer = await customer('GET /api/orders/:id', { params: { id } });
          return answer.ok && answer.body.status === 'DELIVERED';
        },
        { until: (isDelivered) => isDelivered, timeoutMs: 60_000 },
      );
    return { accepted: ids.length, shed, answeredMs, deliveredMs: elapsedMs() };
  } finally {
    await gateway.close();
  }
}
