import { createHash } from 'node:crypto';
import { Problem } from '../shared/problem.ts';
import { retryOnConflict, type StateStore } from '../shared/state.ts';
import { failedAgain, FORGOTTEN_AFTER, secondsToWait, waitAfter, type Failures } from './login-throttle.ts';

/** Slows down who tries passwords at one address, whether it has an account or not. */
export interface LoginThrottle {
  /**
   * @returns whether there were failures
   * @throws Problem 429 while the next attempt has to wait
   */
  demandOpen: (email: string) => Promise<boolean>;
  /** @returns seconds until the next attempt */
  countFailure: (email: string) => Promise<number>;
  forget: (email: string) => Promise<void>;
}

const tooManyAttempts = (seconds: number) =>
  new Problem(429, 'too-many-attempts', 'Logging in has failed too often. Please wait.', {
    headers: { 'retry-after': String(seconds) },
  });

const keyOf = (email: string) => `logins:${createHash('sha256').update(email).digest('hex')}`;

export function loginThrottle({ state, now }: { state: StateStore; now: () => Date }): LoginThrottle {
  const load = (email: string) => state.get<Failures>(keyOf(email));

  return {
    async demandOpen(email) {
      const failures = (await load(email))?.value;
      const seconds = secondsToWait(failures, now());
      if (seconds > 0) throw tooManyAttempts(seconds);
      return failures !== undefined;
    },

    countFailure: (email) =>
      retryOnConflict(async () => {
        const loaded = await load(email);
        const value = failedAgain(loaded?.value, now());
        await state.write({
          op: 'put',
          key: keyOf(email),
          value,
          etag: loaded?.etag,
          ttlSeconds: FORGOTTEN_AFTER,
        });
        return waitAfter(value.count);
      }),

    forget: (email) =>
      retryOnConflict(async () => {
        const loaded = await load(email);
        if (loaded) await state.write({ op: 'delete', key: keyOf(email), etag: loaded.etag });
      }),
  };
}
