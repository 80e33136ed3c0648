import type { User } from '../contract.ts';

/** The end of all sessions that are of an earlier epoch. */
export interface SessionsEnded {
  epoch: number;
  at: string;
  /** The session in which the user changed the password goes on. */
  except?: string | undefined;
}

/** What the owner is to be told of a version by e-mail, because somebody else may have made it. */
export interface Notice {
  previous_email?: string;
  password_changed?: true;
}

/** An account as it is stored. */
export interface Account extends User {
  /** argon2id, in PHC string form. */
  password_hash: string;
  /** The operation that made it, where it was made with an Idempotency-Key. */
  operation?: string | undefined;
  /** Of this version. */
  notice?: Notice;
  /** The last time that sessions ended together; never so far where it is missing. */
  sessions_ended?: SessionsEnded;
  version: number;
  changed_at: string;
}

/** What stays of an account: nothing that tells of the person. */
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

/** Grows by one each time that the sessions of the account end together. */
export function epochOf(document: UserDocument): number {
  return document.sessions_ended?.epoch ?? 0;
}

/**
 * The account with these changes; the very same object where nothing is different. A new password ends all sessions
 * but `session`.
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
    ...(endsSessions ? { sessions_ended: { epoch: epochOf(account) + 1, at, except: session } } : {}),
    email,
    name,
    password_hash: passwordHash,
    version: account.version + 1,
    changed_at: at,
  };
}

/** What is left after the account is deleted. Its version outdates every earlier message. */
export function erased(account: Account, at: string): ErasedAccount {
  const { user_id, version } = account;
  const sessionsEnded = { epoch: epochOf(account) + 1, at };
  return { user_id, erased: true, sessions_ended: sessionsEnded, version: version + 1, changed_at: at };
}

/** The user without what nobody may see. */
export function publicUser({ user_id, email, name, role }: Account): User {
  return { user_id, email, name, role };
}

export function isErased(document: UserDocument): document is ErasedAccount {
  return 'erased' in document;
}

/** What there is to say of this version of a user; it follows from the document alone. */
export function messageOf(document: UserDocument) {
  const { user_id, version } = document;
  if (isErased(document)) return { type: 'user.deleted' as const, data: { user_id, version } };
  const type = version === 1 ? ('user.registered' as const) : ('user.updated' as const);
  return { type, data: { user: publicUser(document), version, ...document.notice } };
}
