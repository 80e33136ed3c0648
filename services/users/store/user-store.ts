import { createHash } from 'node:crypto';
import { IDEMPOTENCY_TTL_SECONDS, responseKey } from '../../shared/http/idempotency.ts';
import { createPagedIndex } from '../../shared/dapr/paged-index.ts';
import type { StateStore, StateEntry, StateOperation } from '../../shared/dapr/state-store.ts';
import { isErased, type Account, type UserDocument } from '../domain/user.ts';

export interface UserStore {
  /** Loads an account, including the rest of an erased one. */
  load: (userId: string) => Promise<StateEntry<UserDocument> | undefined>;
  /** The id of the account with this address. */
  ownerOf: (email: string) => Promise<string | undefined>;
  /** The id of the account that this operation has created within the last day. */
  registeredBy: (operation: string) => Promise<string | undefined>;
  /**
   * @param watch the entry of the work list
   * @throws ConflictError if the address was taken, the operation was done, or another account was added meanwhile
   */
  add: (account: Account, watch: StateOperation) => Promise<void>;
  /**
   * Replaces the loaded version. An address that the account no longer has becomes free.
   *
   * @param watch the entry of the work list
   * @throws ConflictError if the account was changed or the address was taken meanwhile
   */
  replace: (loaded: StateEntry<Account>, next: UserDocument, watch: StateOperation) => Promise<void>;
  /** A page of accounts, newest first. Erased accounts are omitted, so a page may have fewer than `limit`. */
  list: (
    cursor: string | undefined,
    limit: number,
  ) => Promise<{ accounts: Account[]; nextCursor: string | null }>;
}

const userKey = (userId: string) => `user:${userId}`;
/** Addresses are hashed, because keys appear in logs and traces of the sidecar. */
const emailKey = (email: string) => `email:${createHash('sha256').update(email).digest('hex')}`;

const operationKey = (operation: string) => `registration:${operation}`;

/** The account that an address or an operation refers to. */
interface Pointer {
  user_id: string;
}

const claimEmail = (email: string, userId: string): StateOperation => ({
  op: 'put',
  key: emailKey(email),
  value: { user_id: userId } satisfies Pointer,
});

/** The document by which a second replica, or a retry after a crash, finds the account. It expires with the key. */
const remember = (operation: string, userId: string): StateOperation => ({
  op: 'put',
  key: operationKey(operation),
  value: { user_id: userId } satisfies Pointer,
  ttlSeconds: IDEMPOTENCY_TTL_SECONDS,
});

/** The accounts, and one document per address, which makes addresses unique. */
export function createUserStore(state: StateStore): UserStore {
  const index = createPagedIndex(state, 'users');

  async function releaseEmail(email: string): Promise<StateOperation[]> {
    const found = await state.get<Pointer>(emailKey(email));
    return found ? [{ op: 'delete', key: emailKey(email), etag: found.etag }] : [];
  }

  /** The stored reply of the registration contains personal data. */
  async function forgetAnswer(operation: string): Promise<StateOperation[]> {
    const key = responseKey(operation);
    const found = await state.get(key);
    return found ? [{ op: 'delete', key, etag: found.etag }] : [];
  }

  return {
    load: (userId) => state.get<UserDocument>(userKey(userId)),

    ownerOf: async (email) => (await state.get<Pointer>(emailKey(email)))?.value.user_id,

    registeredBy: async (operation) => (await state.get<Pointer>(operationKey(operation)))?.value.user_id,

    async add(account, watch) {
      await state.write(
        watch,
        { op: 'put', key: userKey(account.user_id), value: account },
        claimEmail(account.email, account.user_id),
        ...(account.operation === undefined ? [] : [remember(account.operation, account.user_id)]),
        ...(await index.append([account.user_id])),
      );
    },

    async replace({ value: { email: old, operation }, etag }, next, watch) {
      const email = isErased(next) ? undefined : next.email;
      const writes: StateOperation[] = [watch, { op: 'put', key: userKey(next.user_id), value: next, etag }];
      if (email !== old) writes.push(...(await releaseEmail(old)));
      if (isErased(next) && operation !== undefined) writes.push(...(await forgetAnswer(operation)));
      if (email !== undefined && email !== old) writes.push(claimEmail(email, next.user_id));
      await state.write(...writes);
    },

    async list(cursor, limit) {
      const { ids, nextCursor } = await index.page(cursor, limit);
      const found = await state.getMany<UserDocument>(ids.map(userKey));
      const accounts = ids.flatMap((id) => {
        const document = found.get(userKey(id))?.value;
        return document && !isErased(document) ? [document] : [];
      });
      return { accounts, nextCursor };
    },
  };
}
