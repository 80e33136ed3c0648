import { CLOCKS_APART_SECONDS } from '../../shared/util/time.ts';
import type { RevokedSessions } from '../contract.ts';

/** The ended sessions whose access tokens may still be valid. Times are Unix seconds. */
export interface RevocationList {
  /** The time when the last access token of a session expires, by session id. */
  sessions: Record<string, number>;
  /** The ends of all sessions before a token version, by user id. */
  users: Record<string, UserRevocation>;
  /** The era of the list. It grows by one when the list is full, and tokens of earlier eras are rejected. The default is 0. */
  era?: number;
}

interface UserRevocation {
  token_version: number;
  /** The session that stays valid. */
  except?: string | undefined;
  until: number;
}

export type Revocation = { session_id: string; until: number } | ({ user_id: string } & UserRevocation);

export const NO_REVOCATIONS: RevocationList = { sessions: {}, users: {} };

/** How much longer an end is listed. A request in progress may sign a token for a session while it ends. */
const MAX_REQUEST_DURATION_SECONDS = 120;

/**
 * The time when the last access token that was issued before `ended` expires. The clocks of four processes matter: those
 * that sign, end, list and verify. An entry that stays too long is harmless.
 */
export function revokedUntil(ended: Date, tokenTtlSeconds: number): number {
  return (
    Math.ceil(ended.getTime() / 1000) +
    tokenTtlSeconds +
    MAX_REQUEST_DURATION_SECONDS +
    2 * CLOCKS_APART_SECONDS
  );
}

/** The list with these ends. If none of them is new, the result is the same object. */
export function addRevocations(
  list: RevocationList,
  endings: readonly Revocation[],
  now: Date,
): RevocationList {
  const fresh = endings.filter((ending) => ending.until > seconds(now) && !isListed(list, ending));
  if (fresh.length === 0) return list;
  const { sessions, users, ...rest } = unexpired(list, now);
  for (const ending of fresh)
    if ('session_id' in ending) sessions[ending.session_id] = ending.until;
    else if ((users[ending.user_id]?.token_version ?? -1) < ending.token_version) {
      const { user_id: userId, ...token_version } = ending;
      users[userId] = token_version;
    }
  return { sessions, users, ...rest };
}

/** Merges two ends of a user. A later token version includes every earlier one, and the session that it excepted. */
function isListed({ sessions, users }: RevocationList, ending: Revocation): boolean {
  if ('session_id' in ending) return sessions[ending.session_id] !== undefined;
  return (users[ending.user_id]?.token_version ?? -1) >= ending.token_version;
}

function unexpired({ sessions, users, ...rest }: RevocationList, now: Date): RevocationList {
  const time = seconds(now);
  return {
    ...rest,
    sessions: Object.fromEntries(Object.entries(sessions).filter(([, until]) => until > time)),
    users: Object.fromEntries(Object.entries(users).filter(([, { until }]) => until > time)),
  };
}

/** The list for gateways, without expired entries. */
export function activeRevocations(list: RevocationList, now: Date): RevokedSessions {
  const { sessions, users, era = 0 } = unexpired(list, now);
  const items = [
    ...Object.keys(sessions).map((session_id) => ({ session_id })),
    ...Object.entries(users).map(([user_id, { token_version, except }]) => ({
      user_id,
      token_version,
      ...(except === undefined ? {} : { except }),
    })),
  ];
  return { items, era };
}

/** An empty list with the next era, which rejects every token of the full list. */
export function nextEra({ era = 0 }: RevocationList): RevocationList {
  return { sessions: {}, users: {}, era: era + 1 };
}

export function lengthOf({ sessions, users }: RevocationList): number {
  return Object.keys(sessions).length + Object.keys(users).length;
}

const seconds = (time: Date) => time.getTime() / 1000;
