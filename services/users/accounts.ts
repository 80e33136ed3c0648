import { v7 as uuidv7 } from 'uuid';
import { addRequestFields } from '../shared/context.ts';
import { cloudEvent } from '../shared/events.ts';
import { keyReused } from '../shared/idempotency.ts';
import type { Logger } from '../shared/log.ts';
import { notFound, Problem } from '../shared/problem.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { retryOnConflict, type Stored } from '../shared/state.ts';
import { userEvents, type User } from './contract.ts';
import type { Counters } from './counters.ts';
import type { LoginThrottle } from './login-throttle-store.ts';
import { demandCurrentPassword, type CheckPassword } from './password-check.ts';
import type { Passwords } from './passwords.ts';
import type { SessionStore } from './session-store.ts';
import type { Sessions } from './sessions.ts';
import { changed, erased, isErased, messageOf, registered, type Account, type UserDocument } from './user.ts';
import type { UserStore } from './user-store.ts';

export interface Accounts {
  /**
   * @param operation where it has made an account with these very details before, that account is the answer
   * @throws Problem 409 where the address has an account; 422 where the operation has made another one
   */
  register: (
    details: Omit<User, 'user_id'> & { password: string; network?: string | undefined },
    operation?: string,
  ) => Promise<Account>;
  /** @throws Problem 404 */
  find: (userId: string) => Promise<Account>;
  /**
   * A new password ends all sessions but `by.session`.
   *
   * @param by.session the user's own session in which this is asked for
   * @param by.owner where the user asks: another address or password needs the current password
   * @param by.demand throws where the account that would be replaced is not as the caller expects
   * @throws Problem 404; 409 where the new address has an account; 401 for a new password where `by.session` has ended; 422,
   *   403 and 429 as `demandCurrentPassword` does
   */
  change: (
    userId: string,
    changes: { email?: string | undefined; name?: string | undefined; password?: string | undefined },
    by: {
      session: string | undefined;
      owner: { currentPassword: string | undefined; network: string | undefined } | undefined;
      demand: (account: Account) => void;
    },
  ) => Promise<Account>;
  /** Ends all sessions too. @throws Problem 404 */
  erase: (userId: string) => Promise<void>;
  /** Makes the first administrator where the address has no account. */
  ensureAdmin: (admin: { email: string; password: string }) => Promise<void>;
  /**
   * What the job of a version does: says again what there is to say, then ends the job.
   *
   * @param since when the job was set
   */
  sayAgain: (userId: string, version: number, since: string) => Promise<void>;
}

const emailTaken = () => new Problem(409, 'email-taken', 'There is an account with this e-mail address.');

/** A job a version, so that the end of one never takes away the job of the next. */
const jobOf = ({ user_id, version }: { user_id: string; version: number }) => `user-${user_id}-${version}`;
const JOB = { dueTime: '10s', schedule: '@every 30s' };
/** Milliseconds after which a request cannot be under way any more; each of its calls has a far shorter limit. */
const NEVER_WRITTEN_AFTER = 120_000;

export function accounts(deps: {
  store: UserStore;
  endable: Pick<SessionStore, 'endAll'>;
  sessions: Pick<Sessions, 'demandOpen'>;
  passwords: Passwords;
  check: CheckPassword;
  throttle: Pick<LoginThrottle, 'know'>;
  counters: Pick<Counters, 'sessionsEnded'>;
  sidecar: Sidecar;
  log: Logger;
  now: () => Date;
}): Accounts {
  const { store, endable, sessions, passwords, check, throttle, counters, sidecar, log } = deps;
  const now = () => deps.now().toISOString();

  async function say(document: UserDocument): Promise<void> {
    const { user_id, version, changed_at } = document;
    const envelope = { id: `${user_id}:${version}`, subject: user_id, time: changed_at };
    await sidecar.publish(cloudEvent(userEvents, { ...envelope, ...messageOf(document) }));
  }

  async function sayAndEndJob(document: UserDocument): Promise<void> {
    try {
      await say(document);
      await sidecar.unschedule(jobOf(document));
    } catch (err) {
      log.error({ err }, 'a message is late: the job of this user will say it');
    }
  }

  /**
   * Before a version is replaced: nobody else would ever hear of a registration, and the owner has to hear of a change that
   * somebody else may have made.
   */
  async function sayWhatMustNotBeMissed(account: Account): Promise<void> {
    if (account.version === 1 || account.notice) await say(account);
  }

  /** Nothing is refreshed any more once the account is written; this gets the access tokens refused too. */
  async function endSessions({ user_id, sessions_ended }: UserDocument): Promise<void> {
    if (sessions_ended) await endable.endAll(user_id, sessions_ended);
  }

  /**
   * A caller has no redelivery as a message has. So a job is set before anything is written; it does and says what this
   * request does not come to.
   */
  async function writeAndSay(next: UserDocument, write: () => Promise<void>): Promise<void> {
    await sidecar.schedule(jobOf(next), { ...JOB, data: { since: now() } });
    await write();
    await endSessions(next);
    await sayAndEndJob(next);
  }

  async function loadAccount(userId: string): Promise<Stored<Account>> {
    const stored = await store.load(userId);
    if (!stored || isErased(stored.value)) throw notFound('user');
    return { value: stored.value, etag: stored.etag };
  }

  async function demandFree(email: string): Promise<void> {
    if (await store.ownerOf(email)) throw emailTaken();
  }

  /**
   * The account that an earlier try of the same registration has made. Only who knows its password hears of it: whoever
   * guesses a key must not be told whose it was.
   */
  async function madeBefore(
    operation: string | undefined,
    { email, password }: { email: string; password: string },
  ): Promise<Account | undefined> {
    const [owner, made] = await Promise.all([
      store.ownerOf(email),
      operation === undefined ? undefined : store.madeBy(operation),
    ]);
    if (!made && owner) throw emailTaken();
    if (!made) return undefined;
    const document = (await store.load(made))?.value;
    if (!document || isErased(document) || document.email !== email) throw keyReused();
    const isSame = await passwords.inTurn((verify) => verify(document.password_hash, password));
    if (!isSame) throw keyReused();
    await sayAndEndJob(document);
    return document;
  }

  const register: Accounts['register'] = async (details, operation) => {
    const { email, password, name, role, network } = details;
    const before = await madeBefore(operation, details);
    if (before) return before;
    const userId = uuidv7();
    addRequestFields({ user_id: userId });
    const account = registered(
      { user_id: userId, email, name, role, operation, password_hash: await passwords.hash(password) },
      now(),
    );
    return retryOnConflict(async () => {
      const meanwhile = await madeBefore(operation, details);
      if (meanwhile) return meanwhile;
      await writeAndSay(account, () => store.add(account));
      await throttle.know({ userId, network }).catch((err: unknown) => {
        log.warn({ err }, 'the network of a new account could not be remembered');
      });
      return account;
    });
  };

  return {
    register,

    find: async (userId) => (await loadAccount(userId)).value,

    async change(userId, { email, name, password }, { session, owner, demand }) {
      let provenBy: string | undefined;
      async function admit(account: Account): Promise<void> {
        demand(account);
        // A session that is ended by another's new password could otherwise still except itself by one of its own.
        if (password !== undefined && session !== undefined) await sessions.demandOpen(session, account);
        const needsProof = password !== undefined || (email !== undefined && email !== account.email);
        if (!owner || !needsProof || provenBy === account.password_hash) return;
        await demandCurrentPassword(check, account, owner);
        provenBy = account.password_hash;
      }

      // Before a hash is made for it: that costs more than all else here.
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
        if (next.email !== loaded.value.email) await demandFree(next.email);
        await sayWhatMustNotBeMissed(loaded.value);
        await writeAndSay(next, () => store.replace(loaded, next));
        if (password !== undefined) counters.sessionsEnded.inc({ reason: 'password' });
        return next;
      });
    },

    async erase(userId) {
      await retryOnConflict(async () => {
        const loaded = await loadAccount(userId);
        const next = erased(loaded.value, now());
        if (loaded.value.notice) await say(loaded.value);
        await writeAndSay(next, () => store.replace(loaded, next));
        counters.sessionsEnded.inc({ reason: 'deleted' });
      });
    },

    async ensureAdmin({ email, password }) {
      const owner = await store.ownerOf(email);
      if (owner === undefined) {
        await register({ email, password, name: 'Administrator', role: 'admin' });
        return log.info('the first administrator is made');
      }
      // Whoever registered that address first must not become an administrator by it.
      if ((await loadAccount(owner)).value.role !== 'admin')
        log.warn('ADMIN_EMAIL names the account of a customer, which stays one: there is no administrator');
    },

    async sayAgain(userId, version, since) {
      const document = (await store.load(userId))?.value;
      // Where the document is older, the write that this job was set for may still be under way, or never happened.
      const written = document !== undefined && document.version >= version;
      if (!written && deps.now().getTime() - Date.parse(since) < NEVER_WRITTEN_AFTER) return;
      if (written) {
        await endSessions(document);
        await say(document);
      }
      await sidecar.unschedule(jobOf({ user_id: userId, version }));
    },
  };
}
