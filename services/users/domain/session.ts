import { tokenVersionOf, type Account } from './user.ts';

/** A session: the family of all refresh tokens of one login. */
export interface Session {
  session_id: string;
  user_id: string;
  /** The account's token version at the login or the last refresh. */
  token_version: number;
  /** The key of the refresh tokens' MACs: 32 random bytes, base64url. */
  key: string;
  /** The generation of the only valid refresh token. Each refresh increments it. */
  generation: number;
  created_at: string;
  expires_at: string;
}

/** The maximum lifetime of a session, however often it is refreshed. */
const MAX_LIFETIME_MS = 90 * 24 * 3600 * 1000;

/** The session after a login. `ttlSeconds` is its lifetime without a refresh. */
export function begun(
  { session_id, key }: Pick<Session, 'session_id' | 'key'>,
  account: Account,
  now: Date,
  ttlSeconds: number,
): Session {
  return {
    session_id,
    user_id: account.user_id,
    token_version: tokenVersionOf(account),
    key,
    generation: 1,
    created_at: now.toISOString(),
    expires_at: expiry(now, now, ttlSeconds),
  };
}

/** The session after a refresh. */
export function rotated(session: Session, account: Account, now: Date, ttlSeconds: number): Session {
  return {
    ...session,
    token_version: tokenVersionOf(account),
    generation: session.generation + 1,
    expires_at: expiry(new Date(session.created_at), now, ttlSeconds),
  };
}

function expiry(createdAt: Date, now: Date, ttlSeconds: number): string {
  return new Date(
    Math.min(now.getTime() + ttlSeconds * 1000, createdAt.getTime() + MAX_LIFETIME_MS),
  ).toISOString();
}

/** Seconds until the session expires, or 0. The result never exceeds the lifetime, even if another clock was ahead. */
export function secondsLeft({ expires_at }: Session, now: Date): number {
  return Math.floor(Math.min(MAX_LIFETIME_MS, Math.max(0, Date.parse(expires_at) - now.getTime())) / 1000);
}

/** Whether the session belongs to the account, has not expired, and is of the account's token version or excepted from its end. */
export function isOpen(session: Session, account: Account, now: Date): boolean {
  if (session.user_id !== account.user_id || secondsLeft(session, now) === 0) return false;
  return (
    session.token_version >= tokenVersionOf(account) || session.session_id === account.sessions_ended?.except
  );
}

/**
 * Decides about a refresh token with a valid MAC. An older generation was used before, by the owner or by a thief. Nobody
 * can tell which, so the session ends (RFC 9700, 4.14.2).
 */
export function decide(
  session: Session,
  generation: number,
  account: Account | undefined,
  now: Date,
): 'rotate' | 'reuse' | 'refuse' {
  if (!account || !isOpen(session, account, now) || generation > session.generation) return 'refuse';
  return generation === session.generation ? 'rotate' : 'reuse';
}
