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
  /** @throws ConflictError where the session was refreshed or has ended meanwhile */
  replace: (loaded: Stored<Session>, next: Session) => Promise<void>;
  /**
   * Takes the session away and lists it as ended, both or none.
   *
   * @returns whether there was such a session
   * @throws Problem 503, having changed nothing, where the store is away or too busy
   */
  end: (sessionId: string) => Promise<boolean>;
  /** Lists all sessions of the user before an epoch as ended. Doing it again changes nothing. @throws as `end` does */
  endAll: (userId: string, ended: SessionsEnded) => Promise<void>;
  /** All that ended while access tokens of them may still be valid. */
  ended: () => Promise<EndedSessions>;
  /**
   * The era of tokens that are signed now. To be asked for before the account is read: a token of this era must not be of an
   * epoch that ended in the one before (services/decisions/0021-full-list-of-ended-sessions.md).
   */
  era: () => Promise<number>;
}

const ENDED = 'ended-sessions';
/** The list's era by itself, which every login and refresh reads. */
const ERA = 'token-era';

interface TokenEra {
  era: number;
}

const sessionKey = (sessionId: string) => `session:${sessionId}`;

/** Gateways read all of it every second. Some 60 bytes each. What would be more begins a new era. */
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

  /** In one transaction: a session that is only listed would work again when its entry goes. */
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
      return toldOf(stored?.value ?? NONE_ENDED, now());
    },
    era: async () => (await state.get<TokenEra>(ERA))?.value.era ?? 0,
  };
}
