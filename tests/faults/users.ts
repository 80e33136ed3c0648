import type { Admin } from '../../deploy/local/system/admin.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient, type CallAddress, type Client } from '../../services/gateway/client/client.ts';
import type { CallArguments, ProblemDocument } from '../../services/gateway/client/types.ts';
import { login, register, type Caller } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';

/** The users of an experiment: customers and an administrator. */
export interface Users {
  admin: Client;
  customers: Caller[];
  close: () => Promise<void>;
}

/**
 * Registers the customers and logs in all users.
 *
 * @param gateways the URLs; with several, a client without a response retries once at another one
 */
export async function registerUsers(
  gateways: readonly string[],
  admin: Admin,
  count: number,
): Promise<Users> {
  const [api = ''] = gateways;
  const anonymous = createClient(api, undefined, { connections: 64 });
  const customers: Caller[] = [];
  // One at a time, because each one takes two password hashes.
  while (customers.length < count) {
    const customer = await waitFor(
      'a customer is registered',
      // A sidecar rejects calls until its first probe of the service has succeeded.
      () =>
        register(anonymous)
          .then(({ email, password }) => logIn(email, password))
          .catch(() => undefined),
      { until: (caller) => caller !== undefined },
    );
    if (customer) customers.push(customer);
  }
  const administrator = await logIn(admin.email, admin.password);
  return {
    admin: administrator.call,
    customers,
    async close() {
      const calls = [anonymous, ...[administrator, ...customers].map(({ call }) => call)];
      await Promise.all(calls.map((call) => call.close()));
    },
  };

  async function logIn(email: string, password: string): Promise<Caller> {
    const callers = await Promise.all(gateways.map((gateway) => login(gateway, email, password)));
    const [first] = callers;
    if (!first) throw new Error('there is no gateway');
    return callers.length === 1
      ? first
      : { ...first, call: createRetryingClient(callers.map(({ call }) => call)) };
  }
}

/** Whether a request is refused because an earlier one with its key is still in progress. */
export const isInUse = ({ type }: ProblemDocument): boolean => type.endsWith('in-use');

/**
 * The pause before a retry without a `retry-after`. A gateway that stops closes the idle connections of all clients at the same
 * moment, so a retry at once may meet another closed connection.
 */
const RETRY_PAUSE_MS = 500;
/** How often a retry is repeated while the first try is still in progress. */
const MAX_REPEATS = 10;

/**
 * A client that uses the gateways in turn, and retries once at the next one after a failure. While its first try is in progress, it
 * waits for the time in `retry-after`. Other calls may run meanwhile.
 */
function createRetryingClient(clients: readonly Client[]): Client {
  let calls = 0;
  const at = (index: number) => clients[index % clients.length] as Client;
  const callWithRetry: Client = Object.assign(
    async <A extends CallAddress>(address: A, ...args: CallArguments<A>) => {
      const index = calls++;
      const response = await at(index)(address, ...args).catch(() => undefined);
      if (response && response.status < 500 && response.status !== 429) return response;
      let retryAfter = response?.headers['retry-after'];
      for (let left = MAX_REPEATS; ; left--) {
        await delay(retryAfter === undefined ? RETRY_PAUSE_MS : 1000 * Number(retryAfter));
        const retried = await at(index + 1)(address, ...args);
        if (left === 0 || retried.ok || !isInUse(retried.body)) return retried;
        retryAfter = retried.headers['retry-after'];
      }
    },
    // All other methods use the first gateway.
    clients[0] as Client,
    { close: async () => void (await Promise.all(clients.map((client) => client.close()))) },
  );
  return callWithRetry;
}
