import { headersOf, type Caller } from '../shared/identity.ts';
import { Problem, unavailable } from '../shared/problem.ts';
import type { Sidecar } from '../shared/sidecar.ts';

/** @throws Problem 422 where there is no such customer; 503 where that cannot be known now */
export type DemandCustomer = (caller: Caller, customerId: string) => Promise<void>;

/** Asks users, in the caller's name. */
export function customers(sidecar: Sidecar): DemandCustomer {
  return async (caller, customerId) => {
    const { status } = await sidecar.invoke('users', {
      method: 'GET',
      path: `/api/users/${customerId}`,
      headers: headersOf(caller),
    });
    if (status === 404)
      throw new Problem(422, 'unknown-customer', 'There is no such customer.', {
        errors: [{ field: 'customer_id', message: 'is not a customer of this shop' }],
      });
    if (status !== 200) throw unavailable();
  };
}
