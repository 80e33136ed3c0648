import { groupCommit } from '../../shared/group-commit.ts';
import type { Logger } from '../../shared/log.ts';
import { unavailable } from '../../shared/problem.ts';
import { ConflictError } from '../../shared/sidecar-call.ts';
import { retryOnConflict, type StateStore, type Stored, type Write } from '../../shared/state.ts';
import type { EndedSessions } from '../contract.ts';
import {
  lengthOf,
  nextEra,
  NONE_ENDED,
  toldOf,
  untilWhen,
  withEndings,
  type EndedList,
  type Ending,
} from '../domain/ended-sessions.ts';
import { secondsLeft, type Session } from '../domain/session.ts';
import type { SessionsEnded } from '../domain/user.ts';

export interface SessionStore {
  load: (sessionId: string) => Promise<Stored<Session> | undefined>;
  add: (session: Session) => Promise<void>;
  /** @throws ConflictError if the session was refreshed or ended meanwhile */
  replace: (loaded: Stored<Session>, next: Session) => Promise<void>;
  /**
   * Deletes the session and lists it as ended, in one transaction.
   *
   * @returns whether the session existed
   * @throws Problem 503 if the store is unavailable or overloaded; then nothing has changed
   */
  end: (sessionId: string) => Promise<boolean>;
  /** Lists all sessions of the user before an epoch as ended. A repetition changes nothing. @throws as `end` does */
  endAll: (userId: string, ended: SessionsEnded) => Promise<void>;
  /** The ended sessions whose access tokens may still be valid. */
  ended: () => Promise<EndedSessions>;
  /**
   * The era of new tokens. Callers load it before the account, so that no token of this era belongs to an epoch that ended
   * in the previous era (services/decisions/0021-full-list-of-ended-sessions.md).
   */
  era: () => Promise<number>;
}

const ENDED = 'ended-sessions';
/** The document of the era, which every login and refresh reads. */
const ERA = 'token-era';

interface TokenEra {
  era: number;
}

const sessionKey = (sessionId: string) => `session:${sessionId}`;

/** The maximum length of the list, which gateways read every second. A full list starts a new era. */
const ENDED_AT_MOST = 20_000;

export function sessionStore({
  state,
  log,
  now,
  tokenTtlSeconds,
}: {
  state: StateStore;
  log: Logger;
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

  /** In one transaction, because a session that is only listed would work again when its entry expires. */
  const commit = groupCommit<Ending, boolean>(async (endings) => {
    const attempt = async () => {
      const stored = await state.get<EndedList>(ENDED);
      const before = stored?.value ?? NONE_ENDED;
      const keys = endings.flatMap((ending) =>
        'session_id' in ending ? [sessionKey(ending.session_id)] : [],
      );
      const found = await state.getMany<Session>([...new Set(keys)]);
      const listed = withEndings(before, endings, now());
      const next: EndedList = lengthOf(listed) > ENDED_AT_MOST ? nextEra(listed) : listed;
      const writes = [...found].map(([key, { etag }]): Write => ({ op: 'delete', key, etag }));
      if (next !== before) writes.push({ op: 'put', key: ENDED, value: next, etag: stored?.etag });
      if (next.era !== before.era) {
        const era = await state.get<TokenEra>(ERA);
        writes.push({ op: 'put', key: ERA, value: { era: next.era }, etag: era?.etag });
      }
      await state.write(...writes);
      if (next.era !== before.era)
        log.warn(
          { audit: 'token-era', era: next.era },
          'too many ended sessions: all access tokens must be refreshed',
        );
      // If two requests end the same session, only one counts.
      return endings.map((ending) => 'session_id' in ending && found.delete(sessionKey(ending.session_id)));
    };
    return retryOnConflict(attempt).catch((error: unknown) => {
      // Callers must not take this conflict for one of their own document.
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
      return toldOf(stored?.value ?? NONE_ENDED, now());
    },
    era: async () => (await state.get<TokenEra>(ERA))?.value.era ?? 0,
  };
}
