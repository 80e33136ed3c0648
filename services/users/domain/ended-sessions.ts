import { CLOCKS_APART_SECONDS } from '../../shared/clocks.ts';
import type { EndedSessions } from '../contract.ts';

/** Sessions that ended while access tokens of them may still be valid. Times are Unix seconds. */
export interface EndedList {
  /** By session id, the time from which on none of its access tokens can be valid. */
  sessions: Record<string, number>;
  /** By user id, the end of all sessions before an epoch. */
  users: Record<string, EndedEpoch>;
  /** Grows by one each time that the list was full: all tokens of an earlier era are refused. Missing: 0. */
  era?: number;
}

interface EndedEpoch {
  epoch: number;
  /** The session that goes on. */
  except?: string | undefined;
  until: number;
}

export type Ending = { session_id: string; until: number } | ({ user_id: string } & EndedEpoch);

export const NONE_ENDED: EndedList = { sessions: {}, users: {} };

/**
 * A token may be signed for a session while it ends, by a request that was under way: its end is listed for as much
 * longer as any request can take. Seconds.
 */
const UNDER_WAY = 120;

/**
 * The time from which on no access token can be valid that was given out before `ended`. Four clocks have a part in it: of who
 * signed the token, who ended the session, who tells of it and who verifies. An entry that stays too long does no harm.
 */
export function untilWhen(ended: Date, tokenTtlSeconds: number): number {
  return Math.ceil(ended.getTime() / 1000) + tokenTtlSeconds + UNDER_WAY + 2 * CLOCKS_APART_SECONDS;
}

/** The list with these ends; the very same object where none of them is new. */
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

/** A later epoch includes every earlier one, and whom the earlier one excepted. */
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

/** What is to be told of it now. */
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

/** An empty list, and the next era, in which every token is refused that the full list would have named. */
export function nextEra({ era = 0 }: EndedList): EndedList {
  return { sessions: {}, users: {}, era: era + 1 };
}

export function lengthOf({ sessions, users }: EndedList): number {
  return Object.keys(sessions).length + Object.keys(users).length;
}

const seconds = (time: Date) => time.getTime() / 1000;
