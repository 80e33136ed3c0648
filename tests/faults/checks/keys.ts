import { orderAgain } from '../load.ts';
import { each, type Check } from './check.ts';

/** How many keys are tried again; each costs a write's time. */
const SAMPLE = 500;

export const keysAnswerAlike: Check = {
  name: 'keys',
  promise: 'An Idempotency-Key that was answered with an order is answered with the same one again.',
  async verify({ people, journal }) {
    const answered = [...journal.accepted.values()];
    const step = Math.max(1, Math.floor(answered.length / SAMPLE));
    return each(
      answered.filter((_, place) => place % step === 0),
      // It notes a wrong answer itself.
      async (wanted) =>
        (await orderAgain(people, journal, wanted)) ? undefined : `key ${wanted.key} got no answer`,
    );
  },
};
