import { groupCommit } from '../shared/group-commit.ts';
import { unavailable } from '../shared/problem.ts';
import { ConflictError } from '../shared/sidecar-call.ts';
import { retryOnConflict, type StateStore, type Stored, type Write } from '../shared/state.ts';
import type { EndedSession } from './contract.ts';
import {
  lengthOf,
  NONE_ENDED,
  toldOf,
  untilWhen,
  withEndings,
  type EndedList,
  type Ending,
} from './ended-sessions.ts';
import { secondsLeft, type Session } from './session.ts';
import type { SessionsEnded } from './user.ts';

export interface SessionStore {
  load: (sessionId: string) => Promise<Stored<Session> | undefined>;
  add: (session: Session) => Promise<void>;
  /** @throws ConflictError where the session was refreshed or has ended meanwhile */
  replace: (loaded: Stored<Session>, next: Session) => Promise<void>;
  /**
   * Takes the session away and lists it as ended, both or none.
   *
   * @returns whether there was such a session
   * @throws Problem 503, having changed nothing, where too many have just ended
   */
  end: (sessionId: string) => Promise<boolean>;
  /** Lists all sessions of the user before an epoch as ended. Doing it again changes nothing. @throws as `end` does */
  endAll: (userId: string, ended: SessionsEnded) => Promise<void>;
  /** All that ended while access tokens of them may still be valid. */
  ended: () => Promise<EndedSession[]>;
}

const ENDED = 'ended-sessions';
const sessionKey = (sessionId: string) => `session:${sessionId}`;

/** Gateways read all of it every second. Some 60 bytes each. */
const ENDED_AT_MOST = 20_000;

export function sessionStore({
  state,
  now,
  tokenTtlSeconds,
}: {
  state: StateStore;
  now: () => Date;
  tokenTtlSeconds: number;
}): SessionStore {
  const put = (session: Session, etag?: string) =>
    state.write({
      op: 'put',
      key: sessionKey(session.session_id),
      value: session,
      etag,
      ttlSeconds: Math.max(1, secondsLeft(session, now())),
    });

  /** In one transaction: a session that is only listed would work again when its entry goes. */
  const commit = groupCommit<Ending, boolean>(async (endings) => {
    const attempt = async () => {
      const stored = await state.get<EndedList>(ENDED);
      const before = stored?.value ?? NONE_ENDED;
      const keys = endings.flatMap((ending) =>
        'session_id' in ending ? [sessionKey(ending.session_id)] : [],
      );
      const found = await state.getMany<Session>([...new Set(keys)]);
      const next = withEndings(before, endings, now());
      if (next !== before && lengthOf(next) > ENDED_AT_MOST)
        throw unavailable('Too many sessions have ended.');
      const writes = [...found].map(([key, { etag }]): Write => ({ op: 'delete', key, etag }));
      if (next !== before) writes.push({ op: 'put', key: ENDED, value: next, etag: stored?.etag });
      await state.write(...writes);
      // Of two that end the same session at once, one has ended it.
      return endings.map((ending) => 'session_id' in ending && found.delete(sessionKey(ending.session_id)));
    };
    return retryOnConflict(attempt).catch((error: unknown) => {
      // Whoever asked for this must not take it for a race over their own document.
      throw error instanceof ConflictError ? unavailable() : error;
    });
  });

  return {
    load: (sessionId) => state.get<Session>(sessionKey(sessionId)),
    add: (session) => put(session),
    replace: ({ etag }, next) => put(next, etag),
    end: (sessionId) => commit({ session_id: sessionId, until: untilWhen(now(), tokenTtlSeconds) }),
    async endAll(userId, { epoch, except, at }) {
      const until = untilWhen(new Date(at), tokenTtlSeconds);
      if (until * 1000 > now().getTime()) await commit({ user_id: userId, epoch, except, until });
    },
    async ended() {
      const stored = await state.get<EndedList>(ENDED);
      return stored ? toldOf(stored.value, now()) : [];
    },
  };
}
