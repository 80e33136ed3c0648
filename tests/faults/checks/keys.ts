import { repeatOrder } from '../load.ts';
import { checkEach, type Check } from './check.ts';

/** The number of keys to repeat. Each one takes as long as a write. */
const SAMPLE_SIZE = 500;

export const keysReturnSameOrder: Check = {
  name: 'keys',
  promise: 'Repeating a request with its Idempotency-Key returns the same order.',
  async verify({ users, journal }) {
    const accepted = [...journal.accepted.values()];
    const step = Math.max(1, Math.floor(accepted.length / SAMPLE_SIZE));
    return checkEach(
      accepted.filter((_, place) => place % step === 0),
      // `repeatOrder` records a different order as a violation.
      async (request) =>
        (await repeatOrder(users, journal, request)) ? undefined : `key ${request.key} got no response`,
    );
  },
};
