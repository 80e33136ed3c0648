import { createHash } from 'node:crypto';
import { Problem } from '../../shared/problem.ts';
import { ConflictError } from '../../shared/sidecar-call.ts';
import { retryOnConflict, type StateStore, type Write } from '../../shared/state.ts';
import { secondsToWait, waitAfter, type Wait } from '../domain/login-throttle.ts';

/** Somebody tries a password. */
export interface Attempt {
  email: string;
  /** Of the account with this address; the nil UUID where there is none. */
  userId: string;
  /** Where from; not known for calls that began inside. */
  network: string | undefined;
}

/**
 * Slows down who tries passwords at one address, whether it has an account or not. A network from which the account's owner has
 * logged in before is counted by itself, so that failures from elsewhere do not keep the owner out:
 * services/decisions/0023-login-throttle.md.
 */
export interface LoginThrottle {
  /**
   * @returns whether there were failures
   * @throws Problem 429 while the next attempt has to wait
   */
  demandOpen: (attempt: Attempt) => Promise<boolean>;
  /** @returns seconds until the next attempt */
  countFailure: (attempt: Attempt) => Promise<number>;
  forget: (attempt: Attempt) => Promise<void>;
  /** The owner of the account has been here. */
  know: (owner: Pick<Attempt, 'userId' | 'network'>) => Promise<void>;
}

/** Failures count as in a row until nobody has failed for this long. */
const FORGOTTEN_AFTER_SECONDS = 3_600;
const KNOWN_FOR_SECONDS = 90 * 24 * 3_600;

const tooManyAttempts = (seconds: number) =>
  new Problem(
    429,
    'too-many-attempts',
    'Too many logins have failed. Try again after the time in Retry-After.',
    {
      headers: { 'retry-after': String(seconds) },
    },
  );

const hashOf = (...parts: (string | undefined)[]) =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex');
const knownKey = ({ userId, network }: Pick<Attempt, 'userId' | 'network'>) =>
  `known-network:${hashOf(userId, network)}`;

interface Failures {
  count: number;
}

/** All times here end by the store's clock, the only one that replicas share. */
export function loginThrottle({ state, now }: { state: StateStore; now: () => Date }): LoginThrottle {
  async function keysOf(attempt: Attempt) {
    const isKnown = attempt.network !== undefined && (await state.get(knownKey(attempt))) !== undefined;
    const scope = isKnown ? hashOf(attempt.email, attempt.network) : hashOf(attempt.email);
    return { failuresKey: `logins:${scope}`, waitKey: `login-wait:${scope}` };
  }

  async function load(attempt: Attempt) {
    const { failuresKey, waitKey } = await keysOf(attempt);
    const [failures, wait] = await Promise.all([state.get<Failures>(failuresKey), state.get<Wait>(waitKey)]);
    return { failuresKey, waitKey, failures, wait };
  }

  return {
    async demandOpen(attempt) {
      const { failures, wait } = await load(attempt);
      const seconds = secondsToWait(wait?.value, now());
      if (seconds > 0) throw tooManyAttempts(seconds);
      return failures !== undefined;
    },

    countFailure: (attempt) =>
      retryOnConflict(async () => {
        const { failuresKey, waitKey, failures, wait } = await load(attempt);
        const value: Failures = { count: (failures?.value.count ?? 0) + 1 };
        const seconds = waitAfter(value.count);
        const writes: Write[] = [
          {
            op: 'put',
            key: failuresKey,
            value,
            etag: failures?.etag,
            ttlSeconds: FORGOTTEN_AFTER_SECONDS,
          },
        ];
        const next: Wait = { seconds, since: now().toISOString() };
        // SQLite counts whole seconds: with its own time a wait could be over at once.
        if (seconds > 0)
          writes.push({ op: 'put', key: waitKey, value: next, etag: wait?.etag, ttlSeconds: seconds + 1 });
        await state.write(...writes);
        return seconds;
      }),

    forget: (attempt) =>
      retryOnConflict(async () => {
        const { failuresKey, failures } = await load(attempt);
        if (failures) await state.write({ op: 'delete', key: failuresKey, etag: failures.etag });
      }),

    async know(owner) {
      if (owner.network === undefined || (await state.get(knownKey(owner)))) return;
      const mark: Write = { op: 'put', key: knownKey(owner), value: {}, ttlSeconds: KNOWN_FOR_SECONDS };
      await state.write(mark).catch((error: unknown) => {
        // Another login from there was first.
        if (!(error instanceof ConflictError)) throw error;
      });
    },
  };
}
