import type { EndedSession } from './contract.ts';

/** Sessions that ended while access tokens of them may still be valid. Times are Unix seconds. */
export interface EndedList {
  /** By session id, the time from which on none of its access tokens can be valid. */
  sessions: Record<string, number>;
  /** By user id, the end of all sessions before an epoch. */
  users: Record<string, EndedEpoch>;
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

/** The time from which on no access token can be valid that was given out before `ended`. */
export function untilWhen(ended: Date, tokenTtlSeconds: number): number {
  return Math.ceil(ended.getTime() / 1000) + tokenTtlSeconds + UNDER_WAY;
}

/** The list with these ends; the very same object where none of them is new. */
export function withEndings(list: EndedList, endings: readonly Ending[], now: Date): EndedList {
  const fresh = endings.filter((ending) => ending.until > seconds(now) && !isListed(list, ending));
  if (fresh.length === 0) return list;
  const { sessions, users } = unexpired(list, now);
  for (const ending of fresh)
    if ('session_id' in ending) sessions[ending.session_id] = ending.until;
    else if ((users[ending.user_id]?.epoch ?? -1) < ending.epoch) {
      const { user_id: userId, ...epoch } = ending;
      users[userId] = epoch;
    }
  return { sessions, users };
}

/** A later epoch includes every earlier one, and whom the earlier one excepted. */
function isListed({ sessions, users }: EndedList, ending: Ending): boolean {
  if ('session_id' in ending) return sessions[ending.session_id] !== undefined;
  return (users[ending.user_id]?.epoch ?? -1) >= ending.epoch;
}

function unexpired({ sessions, users }: EndedList, now: Date): EndedList {
  const time = seconds(now);
  return {
    sessions: Object.fromEntries(Object.entries(sessions).filter(([, until]) => until > time)),
    users: Object.fromEntries(Object.entries(users).filter(([, { until }]) => until > time)),
  };
}

/** What is to be told of it now. */
export function toldOf(list: EndedList, now: Date): EndedSession[] {
  const { sessions, users } = unexpired(list, now);
  return [
    ...Object.keys(sessions).map((session_id) => ({ session_id })),
    ...Object.entries(users).map(([user_id, { epoch, except }]) => ({
      user_id,
      epoch,
      ...(except === undefined ? {} : { except }),
    })),
  ];
}

export function lengthOf({ sessions, users }: EndedList): number {
  return Object.keys(sessions).length + Object.keys(users).length;
}

const seconds = (time: Date) => time.getTime() / 1000;
