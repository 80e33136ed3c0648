import type { Admin } from '../../deploy/local/system/admin.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient, type CallAddress, type Client } from '../../services/gateway/client/client.ts';
import type { CallArguments } from '../../services/gateway/client/types.ts';
import { login, register, type Caller } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';

/** Who is there: the customers, and an administrator. */
export interface People {
  admin: Client;
  customers: Caller[];
  close: () => Promise<void>;
}

/**
 * Registers the customers and logs everybody in.
 *
 * @param doors the gateways; where there are several, whoever gets no answer at one asks once more, at another
 */
export async function letIn(doors: readonly string[], admin: Admin, customers: number): Promise<People> {
  const [api = ''] = doors;
  const nobody = createClient(api, undefined, { connections: 64 });
  const accounts: Caller[] = [];
  // One by one: each costs two hashes.
  while (accounts.length < customers) {
    const account = await waitFor(
      'a customer is let in',
      // A sidecar looks at its service every few seconds, and lets nobody through before it has seen it.
      () =>
        register(nobody)
          .then(({ email, password }) => enter(email, password))
          .catch(() => undefined),
      { until: (caller) => caller !== undefined },
    );
    if (account) accounts.push(account);
  }
  const administrator = await enter(admin.email, admin.password);
  return {
    admin: administrator.call,
    customers: accounts,
    async close() {
      const calls = [nobody, ...[administrator, ...accounts].map(({ call }) => call)];
      await Promise.all(calls.map((call) => call.close()));
    },
  };

  async function enter(email: string, password: string): Promise<Caller> {
    const callers = await Promise.all(doors.map((door) => login(door, email, password)));
    const [first] = callers;
    if (!first) throw new Error('there is no gateway');
    return callers.length === 1 ? first : { ...first, call: withOneRetry(callers.map(({ call }) => call)) };
  }
}

/** Asks the next one in turn, and once more the one after it where that one cannot tell. */
function withOneRetry(clients: readonly Client[]): Client {
  let turn = 0;
  const next = () => clients[turn++ % clients.length] as Client;
  const ask: Client = Object.assign(
    async <A extends CallAddress>(address: A, ...given: CallArguments<A>) => {
      const answer = await next()(address, ...given).catch(() => undefined);
      if (answer && answer.status < 500 && answer.status !== 429) return answer;
      await delay(1000 * Number(answer?.headers['retry-after'] ?? 0));
      return next()(address, ...given);
    },
    // What else a client can do, it does at the first one.
    clients[0] as Client,
    { close: async () => void (await Promise.all(clients.map((client) => client.close()))) },
  );
  return ask;
}
