import { NIL, v7 as uuidv7 } from 'uuid';
import { addRequestFields } from '../shared/context.ts';
import { cloudEvent } from '../shared/events.ts';
import type { Logger } from '../shared/log.ts';
import { notFound, Problem } from '../shared/problem.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { retryOnConflict, type Stored } from '../shared/state.ts';
import type { User } from './contract.ts';
import type { Passwords } from './passwords.ts';
import {
  changed,
  erased,
  isErased,
  messageOf,
  publicUser,
  registered,
  type Account,
  type UserDocument,
} from './user.ts';
import type { UserStore } from './user-store.ts';

export interface Accounts {
  /** @throws Problem 409 where the address has an account */
  register: (details: { email: string; password: string; name: string; role: User['role'] }) => Promise<User>;
  /** @throws Problem 401, the same for an unknown address and a wrong password, after the same time */
  logIn: (credentials: { email: string; password: string }) => Promise<User>;
  /** @throws Problem 404 */
  find: (userId: string) => Promise<User>;
  /** @throws Problem 404; 409 where the new address has an account */
  change: (
    userId: string,
    changes: { email?: string | undefined; name?: string | undefined; password?: string | undefined },
  ) => Promise<User>;
  /** @throws Problem 404 */
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
const wrongCredentials = () =>
  new Problem(401, 'wrong-credentials', 'The e-mail address or the password is wrong.');

/** A job a version, so that the end of one never takes away the job of the next. */
const jobOf = ({ user_id, version }: { user_id: string; version: number }) => `user-${user_id}-${version}`;
const JOB = { dueTime: '10s', schedule: '@every 30s' };
/** Milliseconds after which a request cannot be under way any more; each of its calls has a far shorter limit. */
const NEVER_WRITTEN_AFTER = 120_000;

const now = () => new Date().toISOString();

export function accounts(deps: {
  store: UserStore;
  passwords: Passwords;
  sidecar: Sidecar;
  log: Logger;
}): Accounts {
  const { store, passwords, sidecar, log } = deps;

  async function say(document: UserDocument): Promise<void> {
    const { user_id, version, changed_at } = document;
    const envelope = { source: 'users', id: `${user_id}:${version}`, subject: user_id, time: changed_at };
    await sidecar.publish(cloudEvent({ ...envelope, ...messageOf(document) }));
  }

  async function sayAndEndJob(document: UserDocument): Promise<void> {
    await say(document);
    await sidecar.unschedule(jobOf(document));
  }

  /**
   * A caller has no redelivery as a message has. So a job is set before anything is written; it says what this request
   * does not come to say.
   */
  async function writeAndSay(next: UserDocument, write: () => Promise<void>): Promise<void> {
    await sidecar.schedule(jobOf(next), { ...JOB, data: { since: now() } });
    await write();
    await sayAndEndJob(next).catch((err: unknown) =>
      log.error({ err }, 'a message is late: the job of this user will say it'),
    );
  }

  async function loadAccount(userId: string): Promise<Stored<Account>> {
    const stored = await store.load(userId);
    if (!stored || isErased(stored.value)) throw notFound('user');
    return { value: stored.value, etag: stored.etag };
  }

  async function demandFree(email: string): Promise<void> {
    if (await store.ownerOf(email)) throw emailTaken();
  }

  async function register(details: Parameters<Accounts['register']>[0]): Promise<User> {
    const { email, password, name, role } = details;
    await demandFree(email);
    const account = registered(
      { user_id: uuidv7(), email, name, role, password_hash: await passwords.hash(password) },
      now(),
    );
    addRequestFields({ user_id: account.user_id });
    await retryOnConflict(async () => {
      await demandFree(email);
      await writeAndSay(account, () => store.add(account));
    });
    return publicUser(account);
  }

  return {
    register,

    async logIn({ email, password }) {
      // An unknown address costs the same reads and the same hash as a known one.
      const owner = (await store.ownerOf(email)) ?? NIL;
      const found = (await store.load(owner))?.value;
      const account = found && !isErased(found) ? found : undefined;
      const right = await passwords.verify(account?.password_hash, password);
      if (!account || !right) throw wrongCredentials();
      return publicUser(account);
    },

    find: async (userId) => publicUser((await loadAccount(userId)).value),

    async change(userId, { email, name, password }) {
      const changes = {
        email,
        name,
        password_hash: password === undefined ? undefined : await passwords.hash(password),
      };
      return retryOnConflict(async () => {
        const loaded = await loadAccount(userId);
        const next = changed(loaded.value, changes, now());
        if (next === loaded.value) return publicUser(next);
        if (next.email !== loaded.value.email) await demandFree(next.email);
        // The registration itself must not go unsaid: nobody else would ever hear of it.
        if (loaded.value.version === 1) await say(loaded.value);
        await writeAndSay(next, () => store.replace(loaded, next));
        return publicUser(next);
      });
    },

    async erase(userId) {
      await retryOnConflict(async () => {
        const loaded = await loadAccount(userId);
        const next = erased(loaded.value, now());
        await writeAndSay(next, () => store.replace(loaded, next));
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
      if (!written && Date.now() - Date.parse(since) < NEVER_WRITTEN_AFTER) return;
      if (written) await say(document);
      await sidecar.unschedule(jobOf({ user_id: userId, version }));
    },
  };
}
