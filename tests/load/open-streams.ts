import type { RunningSystem } from '../../deploy/local/system/system.ts';
import { createClient } from '../../services/gateway/client/client.ts';
import { login, register } from '../support/shop.ts';
import { storeWaitingOrders } from './stored-orders.ts';

/** Open event streams. */
export interface OpenStreams {
  close: () => Promise<void>;
}

/** The maximum of streams per caller. */
const STREAMS_PER_CUSTOMER = 100;

/** Opens streams of different orders. Resolves when each has received its first event. */
export async function openStreams(system: RunningSystem, count: number): Promise<OpenStreams> {
  const controller = new AbortController();
  const clients = await Promise.all(
    Array.from({ length: Math.ceil(count / STREAMS_PER_CUSTOMER) }, async () => {
      const anonymous = createClient(system.urls.api);
      const { email, password } = await register(anonymous);
      const { userId, call } = await login(system.urls.api, email, password);
      const ids = await storeWaitingOrders(system, STREAMS_PER_CUSTOMER, userId);
      const client = createClient(system.urls.api, call.tokens(), { connections: STREAMS_PER_CUSTOMER + 1 });
      for (const id of ids) {
        const changes = client.watch(id, { signal: controller.signal })[Symbol.asyncIterator]();
        await changes.next();
        // The stream then waits, because its order never changes.
        void changes.next().catch(() => {});
      }
      await Promise.all([anonymous.close(), call.close()]);
      return client;
    }),
  );
  return {
    async close() {
      controller.abort();
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}
