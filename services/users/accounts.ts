import { v7 as uuidv7 } from 'uuid';
import { addRequestFields } from '../shared/telemetry/request-context.ts';
import { idempotencyKeyReused } from '../shared/http/idempotency.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { notFound, ProblemError } from '../shared/http/problem.ts';
import { retryOnConflict, type StateEntry } from '../shared/dapr/state-store.ts';
import type { User } from './contract.ts';
import type { Counters } from './metrics.ts';
import type { LoginThrottle } from './store/login-throttle-store.ts';
import { assertCurrentPassword, type CheckPassword } from './password-check.ts';
import type { Passwords } from './passwords.ts';
import type { Sessions } from './sessions.ts';
import { changed, erased, isErased, registered, type Account } from './domain/user.ts';
import type { UserChanges } from './user-changes.ts';
import type { UserStore } from './store/user-store.ts';

export interface Accounts {
  /**
   * @param operation an account that this operation has created before with these details is returned again
   * @throws ProblemError 409 if the address has an account; 422 if the operation has created another account
   */
  register: (
    details: Omit<User, 'user_id'> & { password: string; network?: string | undefined },
    operation?: string,
  ) => Promise<Account>;
  /** @throws ProblemError 404 */
  find: (userId: string) => Promise<Account>;
  /**
   * Changes an account. A new password ends all sessions except `by.session`.
   *
   * @param by.session the session of the user who changes the own account
   * @param by.owner whether the owner makes the change; then a new address or password needs the current password
   * @param by.precondition throws if the account is not as the caller expects
   * @throws ProblemError 404; 409 if the new address has an account; 401 for a new password if `by.session` has ended; 422, 403
   *   and 429 as `assertCurrentPassword` does
   */
  update: (
    userId: string,
    changes: { email?: string | undefined; name?: string | undefined; password?: string | undefined },
    by: {
      session: string | undefined;
      owner: { currentPassword: string | undefined; network: string | undefined } | undefined;
      precondition: (account: Account) => void;
    },
  ) => Promise<Account>;
  /** Deletes an account and ends its sessions. @throws ProblemError 404 */
  delete: (userId: string) => Promise<void>;
  /** Creates the first administrator if the address has no account. */
  ensureAdmin: (admin: { email: string; password: string }) => Promise<void>;
}

const emailTaken = () =>
  new ProblemError(
    409,
    'email-taken',
    'An account with this e-mail address already exists. Use another address.',
  );

export function createAccounts(deps: {
  store: UserStore;
  userChanges: Pick<UserChanges, 'write' | 'publish'>;
  sessions: Pick<Sessions, 'assertActive'>;
  passwords: Passwords;
  check: CheckPassword;
  throttle: Pick<LoginThrottle, 'rememberNetwork'>;
  counters: Pick<Counters, 'sessionsEnded'>;
  log: Logger;
  now: () => Date;
}): Accounts {
  const { store, userChanges, sessions, passwords, check, throttle, counters, log } = deps;
  const now = () => deps.now().toISOString();

  /**
   * Publishes the loaded version before it is replaced. Otherwise a registration, or a change that the owner must know of,
   * could stay unpublished.
   */
  async function publishIfUnpublished(account: Account): Promise<void> {
    if (account.version === 1 || account.notice) await userChanges.publish(account);
  }

  async function loadAccount(userId: string): Promise<StateEntry<Account>> {
    const stored = await store.load(userId);
    if (!stored || isErased(stored.value)) throw notFound('user');
    return { value: stored.value, etag: stored.etag };
  }

  async function assertEmailAvailable(email: string): Promise<void> {
    if (await store.ownerOf(email)) throw emailTaken();
  }

  /**
   * The account that an earlier attempt of the same registration has created. The caller must know its password, so that a
   * guessed key reveals nothing.
   */
  async function findPriorRegistration(
    operation: string | undefined,
    { email, password }: { email: string; password: string },
  ): Promise<Account | undefined> {
    const [owner, made] = await Promise.all([
      store.ownerOf(email),
      operation === undefined ? undefined : store.registeredBy(operation),
    ]);
    if (!made && owner) throw emailTaken();
    if (!made) return undefined;
    const document = (await store.load(made))?.value;
    if (!document || isErased(document) || document.email !== email) throw idempotencyKeyReused();
    const isSame = await passwords.withHashingSlot((verify) => verify(document.password_hash, password));
    if (!isSame) throw idempotencyKeyReused();
    return document;
  }

  const register: Accounts['register'] = async (details, operation) => {
    const { email, password, name, role, network } = details;
    const before = await findPriorRegistration(operation, details);
    if (before) return before;
    const userId = uuidv7();
    addRequestFields({ user_id: userId });
    const account = registered(
      { user_id: userId, email, name, role, operation, password_hash: await passwords.hash(password) },
      now(),
    );
    return retryOnConflict(async () => {
      const meanwhile = await findPriorRegistration(operation, details);
      if (meanwhile) return meanwhile;
      await userChanges.write(account, (watch) => store.add(account, watch));
      await throttle.rememberNetwork({ userId, network }).catch((err: unknown) => {
        log.warn({ err }, 'storing the network of a new account failed');
      });
      return account;
    });
  };

  return {
    register,

    find: async (userId) => (await loadAccount(userId)).value,

    async update(userId, { email, name, password }, { session, owner, precondition }) {
      let provenBy: string | undefined;
      async function admit(account: Account): Promise<void> {
        precondition(account);
        // Otherwise a session that another password change has ended could except itself from this end.
        if (password !== undefined && session !== undefined) await sessions.assertActive(session, account);
        const needsProof = password !== undefined || (email !== undefined && email !== account.email);
        if (!owner || !needsProof || provenBy === account.password_hash) return;
        await assertCurrentPassword(check, account, owner);
        provenBy = account.password_hash;
      }

      // Before the hash, which is the most expensive step.
      if (password !== undefined) await admit((await loadAccount(userId)).value);
      const changes = {
        email,
        name,
        password_hash: password === undefined ? undefined : await passwords.hash(password),
      };
      return retryOnConflict(async () => {
        const loaded = await loadAccount(userId);
        await admit(loaded.value);
        const next = changed(loaded.value, changes, now(), session);
        if (next === loaded.value) return next;
        if (next.email !== loaded.value.email) await assertEmailAvailable(next.email);
        await publishIfUnpublished(loaded.value);
        await userChanges.write(next, (watch) => store.replace(loaded, next, watch));
        if (password !== undefined) counters.sessionsEnded.inc({ reason: 'password' });
        return next;
      });
    },

    async delete(userId) {
      await retryOnConflict(async () => {
        const loaded = await loadAccount(userId);
        const next = erased(loaded.value, now());
        if (loaded.value.notice) await userChanges.publish(loaded.value);
        await userChanges.write(next, (watch) => store.replace(loaded, next, watch));
        counters.sessionsEnded.inc({ reason: 'deleted' });
      });
    },

    async ensureAdmin({ email, password }) {
      const owner = await store.ownerOf(email);
      if (owner === undefined) {
        await register({ email, password, name: 'Administrator', role: 'admin' });
        return log.info('first administrator created');
      }
      // A customer who registered that address first must not become an administrator.
      if ((await loadAccount(owner)).value.role !== 'admin')
        log.warn('no administrator created: ADMIN_EMAIL belongs to a customer');
    },
  };
}
