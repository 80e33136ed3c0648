import { createHash } from 'node:crypto';
import { ProblemError } from '../../shared/http/problem.ts';
import { ConflictError } from '../../shared/dapr/sidecar-call.ts';
import { retryOnConflict, type StateStore, type StateOperation } from '../../shared/dapr/state-store.ts';
import { secondsToWait, waitAfter, type Wait } from '../domain/login-throttle.ts';

/** An attempt to log in. */
export interface Attempt {
  email: string;
  /** The account of this address, or the nil UUID. */
  userId: string;
  /** The network of the client; undefined for calls from inside the system. */
  network: string | undefined;
}

/**
 * Slows down password guessing per address, whether it has an account or not. A network from which the owner has logged in
 * before is counted separately, so that other failures do not lock the owner out
 * (services/decisions/0023-login-throttle.md).
 */
export interface LoginThrottle {
  /**
   * @returns whether there were failures
   * @throws ProblemError 429 while attempts are throttled
   */
  assertNotThrottled: (attempt: Attempt) => Promise<boolean>;
  /** @returns seconds until the next attempt */
  countFailure: (attempt: Attempt) => Promise<number>;
  reset: (attempt: Attempt) => Promise<void>;
  /** Remembers the network of the account's owner. */
  rememberNetwork: (owner: Pick<Attempt, 'userId' | 'network'>) => Promise<void>;
}

/** How long a failure counts after the last one. */
const FAILURES_TTL_SECONDS = 3_600;
const KNOWN_NETWORK_TTL_SECONDS = 90 * 24 * 3_600;

const tooManyAttempts = (seconds: number) =>
  new ProblemError(
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

/** All these times use the clock of the store, because the replicas share no other clock. */
export function createLoginThrottle({ state, now }: { state: StateStore; now: () => Date }): LoginThrottle {
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
    async assertNotThrottled(attempt) {
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
        const writes: StateOperation[] = [
          {
            op: 'put',
            key: failuresKey,
            value,
            etag: failures?.etag,
            ttlSeconds: FAILURES_TTL_SECONDS,
          },
        ];
        const next: Wait = { seconds, since: now().toISOString() };
        // SQLite counts whole seconds, so its own expiry could end a wait at once.
        if (seconds > 0)
          writes.push({ op: 'put', key: waitKey, value: next, etag: wait?.etag, ttlSeconds: seconds + 1 });
        await state.write(...writes);
        return seconds;
      }),

    reset: (attempt) =>
      retryOnConflict(async () => {
        const { failuresKey, failures } = await load(attempt);
        if (failures) await state.write({ op: 'delete', key: failuresKey, etag: failures.etag });
      }),

    async rememberNetwork(owner) {
      if (owner.network === undefined || (await state.get(knownKey(owner)))) return;
      const mark: StateOperation = {
        op: 'put',
        key: knownKey(owner),
        value: {},
        ttlSeconds: KNOWN_NETWORK_TTL_SECONDS,
      };
      await state.write(mark).catch((error: unknown) => {
        // A concurrent login from this network was saved first.
        if (!(error instanceof ConflictError)) throw error;
      });
    },
  };
}
