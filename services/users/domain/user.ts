import type { User } from '../contract.ts';

/** The end of all sessions with an earlier token version. */
export interface SessionsEnded {
  token_version: number;
  at: string;
  /** The session in which the user changed the password, which stays valid. */
  except?: string | undefined;
}

/** The changes of a version that the owner must learn by e-mail, because somebody else may have made them. */
export interface Notice {
  previous_email?: string;
  password_changed?: true;
}

/** An account in the state store. */
export interface Account extends User {
  /** argon2id, in PHC string form. */
  password_hash: string;
  /** The operation that created the account, if the request had an Idempotency-Key. */
  operation?: string | undefined;
  notice?: Notice;
  /** The last end of all sessions; absent if there was none. */
  sessions_ended?: SessionsEnded;
  version: number;
  /** The time of this version. */
  changed_at: string;
}

/** The rest of an erased account, without personal data. */
export interface ErasedAccount {
  user_id: string;
  erased: true;
  sessions_ended: SessionsEnded;
  version: number;
  changed_at: string;
}

export type UserDocument = Account | ErasedAccount;

export interface Changes {
  email?: string | undefined;
  name?: string | undefined;
  password_hash?: string | undefined;
}

/** The first version of an account. */
export function registered(details: Omit<Account, 'version' | 'changed_at'>, at: string): Account {
  return { ...details, version: 1, changed_at: at };
}

/** The token version. It grows by one each time all sessions of the account end. */
export function tokenVersionOf(document: UserDocument): number {
  return document.sessions_ended?.token_version ?? 0;
}

/**
 * Applies these changes. Without a difference, the result is the same object. A new password ends all sessions except
 * `session`.
 */
export function changed(account: Account, changes: Changes, at: string, session?: string): Account {
  const {
    email = account.email,
    name = account.name,
    password_hash: passwordHash = account.password_hash,
  } = changes;
  const same = email === account.email && name === account.name && passwordHash === account.password_hash;
  if (same) return account;
  const endsSessions = passwordHash !== account.password_hash;
  const notice: Notice = {
    ...(email === account.email ? {} : { previous_email: account.email }),
    ...(endsSessions ? { password_changed: true } : {}),
  };
  const { notice: _, ...kept } = account;
  return {
    ...kept,
    ...(Object.keys(notice).length > 0 ? { notice } : {}),
    ...(endsSessions
      ? { sessions_ended: { token_version: tokenVersionOf(account) + 1, at, except: session } }
      : {}),
    email,
    name,
    password_hash: passwordHash,
    version: account.version + 1,
    changed_at: at,
  };
}

/** The rest of a deleted account. Its version is higher than that of every earlier event. */
export function erased(account: Account, at: string): ErasedAccount {
  const { user_id, version } = account;
  const sessionsEnded = { token_version: tokenVersionOf(account) + 1, at };
  return { user_id, erased: true, sessions_ended: sessionsEnded, version: version + 1, changed_at: at };
}

/** The public fields of a user. */
export function toPublicUser({ user_id, email, name, role }: Account): User {
  return { user_id, email, name, role };
}

export function isErased(document: UserDocument): document is ErasedAccount {
  return 'erased' in document;
}

/** The event of this version, derived from the document alone. */
export function toUserEvent(document: UserDocument) {
  const { user_id, version } = document;
  if (isErased(document)) return { type: 'user.deleted' as const, data: { user_id, version } };
  const type = version === 1 ? ('user.registered' as const) : ('user.updated' as const);
  return { type, data: { user: toPublicUser(document), version, ...document.notice } };
}
