import type { RunningSystem } from '../../deploy/local/system/system.ts';
import { createClient } from '../../services/gateway/client/client.ts';
import { login, register } from '../support/shop.ts';
import { storeWaitingOrders } from './stored-orders.ts';

/** Event streams that are open, and stay so. */
export interface OpenStreams {
  close: () => Promise<void>;
}

/** As many as one caller may have open. */
const OF_A_CUSTOMER = 100;

/** Opens streams, each of an order of its own; resolves when each has told what its order is like. */
export async function openStreams(system: RunningSystem, count: number): Promise<OpenStreams> {
  const leaving = new AbortController();
  const clients = await Promise.all(
    Array.from({ length: Math.ceil(count / OF_A_CUSTOMER) }, async () => {
      const stranger = createClient(system.urls.api);
      const { email, password } = await register(stranger);
      const { userId, call } = await login(system.urls.api, email, password);
      const ids = await storeWaitingOrders(system, OF_A_CUSTOMER, userId);
      const client = createClient(system.urls.api, call.tokens(), { connections: OF_A_CUSTOMER + 1 });
      for (const id of ids) {
        const changes = client.watch(id, { signal: leaving.signal })[Symbol.asyncIterator]();
        await changes.next();
        // From now on it waits: nothing will come until it is closed.
        void changes.next().catch(() => {});
      }
      await Promise.all([stranger.close(), call.close()]);
      return client;
    }),
  );
  return {
    async close() {
      leaving.abort();
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}
