import { callerHeaders, type Caller } from '../shared/http/caller.ts';
import { ProblemError, unavailable } from '../shared/http/problem.ts';
import type { Sidecar } from '../shared/dapr/sidecar.ts';

export interface CustomerClient {
  /**
   * Asks `users` in the caller's name.
   *
   * @throws ProblemError 422 if there is no such customer, 503 if `users` does not answer
   */
  assertCustomerExists: (caller: Caller, customerId: string) => Promise<void>;
}

export function createCustomerClient(sidecar: Pick<Sidecar, 'invoke'>): CustomerClient {
  return {
    async assertCustomerExists(caller, customerId) {
      const { status } = await sidecar.invoke('users', {
        method: 'GET',
        path: `/api/users/${customerId}`,
        headers: callerHeaders(caller),
      });
      if (status === 404)
        throw new ProblemError(422, 'unknown-customer', 'Customer not found.', {
          errors: [{ field: 'customer_id', message: 'is not a customer of this shop' }],
        });
      if (status !== 200) throw unavailable();
    },
  };
}
