import { CLOCKS_APART_SECONDS } from '../../shared/clocks.ts';
import type { EndedSessions } from '../contract.ts';

/** The ended sessions whose access tokens may still be valid. Times are Unix seconds. */
export interface EndedList {
  /** The time when the last access token of a session expires, by session id. */
  sessions: Record<string, number>;
  /** The ends of all sessions before an epoch, by user id. */
  users: Record<string, EndedEpoch>;
  /** The era of the list. It grows by one when the list is full, and tokens of earlier eras are rejected. The default is 0. */
  era?: number;
}

interface EndedEpoch {
  epoch: number;
  /** The session that stays valid. */
  except?: string | undefined;
  until: number;
}

export type Ending = { session_id: string; until: number } | ({ user_id: string } & EndedEpoch);

export const NONE_ENDED: EndedList = { sessions: {}, users: {} };

/** How much longer an end is listed, in seconds. A request in progress may sign a token for a session while it ends. */
const UNDER_WAY = 120;

/**
 * The time when the last access token that was issued before `ended` expires. The clocks of four processes matter: those
 * that sign, end, list and verify. An entry that stays too long is harmless.
 */
export function untilWhen(ended: Date, tokenTtlSeconds: number): number {
  return Math.ceil(ended.getTime() / 1000) + tokenTtlSeconds + UNDER_WAY + 2 * CLOCKS_APART_SECONDS;
}

/** The list with these ends. If none of them is new, the result is the same object. */
export function withEndings(list: EndedList, endings: readonly Ending[], now: Date): EndedList {
  const fresh = endings.filter((ending) => ending.until > seconds(now) && !isListed(list, ending));
  if (fresh.length === 0) return list;
  const { sessions, users, ...rest } = unexpired(list, now);
  for (const ending of fresh)
    if ('session_id' in ending) sessions[ending.session_id] = ending.until;
    else if ((users[ending.user_id]?.epoch ?? -1) < ending.epoch) {
      const { user_id: userId, ...epoch } = ending;
      users[userId] = epoch;
    }
  return { sessions, users, ...rest };
}

/** Merges two ends of a user. A later epoch includes every earlier one, and the session that it excepted. */
function isListed({ sessions, users }: EndedList, ending: Ending): boolean {
  if ('session_id' in ending) return sessions[ending.session_id] !== undefined;
  return (users[ending.user_id]?.epoch ?? -1) >= ending.epoch;
}

function unexpired({ sessions, users, ...rest }: EndedList, now: Date): EndedList {
  const time = seconds(now);
  return {
    ...rest,
    sessions: Object.fromEntries(Object.entries(sessions).filter(([, until]) => until > time)),
    users: Object.fromEntries(Object.entries(users).filter(([, { until }]) => until > time)),
  };
}

/** The list for gateways, without expired entries. */
export function toldOf(list: EndedList, now: Date): EndedSessions {
  const { sessions, users, era = 0 } = unexpired(list, now);
  const items = [
    ...Object.keys(sessions).map((session_id) => ({ session_id })),
    ...Object.entries(users).map(([user_id, { epoch, except }]) => ({
      user_id,
      epoch,
      ...(except === undefined ? {} : { except }),
    })),
  ];
  return { items, era };
}

/** An empty list with the next era, which rejects every token of the full list. */
export function nextEra({ era = 0 }: EndedList): EndedList {
  return { sessions: {}, users: {}, era: era + 1 };
}

export function lengthOf({ sessions, users }: EndedList): number {
  return Object.keys(sessions).length + Object.keys(users).length;
}

const seconds = (time: Date) => time.getTime() / 1000;
