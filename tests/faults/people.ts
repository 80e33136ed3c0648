import type { Admin } from '../../deploy/local/infrastructure.ts';
import { createClient, type Client } from '../../services/gateway/client.ts';
import { login, register, type Caller } from '../support/shop.ts';
import { until } from '../support/wait.ts';

/** Who is there: the customers, and an administrator. */
export interface People {
  admin: Client;
  customers: Caller[];
  close: () => Promise<void>;
}

/** Registers the customers and logs everybody in. */
export async function letIn(api: string, admin: Admin, customers: number): Promise<People> {
  const nobody = createClient(api, undefined, { connections: 64 });
  const accounts: Caller[] = [];
  // One by one: each costs two hashes.
  while (accounts.length < customers) {
    const account = await until(
      'a customer is let in',
      // A sidecar looks at its service every few seconds, and lets nobody through before it has seen it.
      () =>
        register(nobody).then(
          ({ email, password }) => login(api, email, password),
          () => undefined,
        ),
      (caller) => caller !== undefined,
    );
    if (account) accounts.push(account);
  }
  const administrator = await createClient(api, undefined, { connections: 32 }).logIn(admin);
  return {
    admin: administrator,
    customers: accounts,
    async close() {
      const calls = [nobody, administrator, ...accounts.map(({ call }) => call)];
      await Promise.all(calls.map((call) => call.close()));
    },
  };
}
