import { createBatcher } from '../../shared/util/batcher.ts';
import type { Logger } from '../../shared/telemetry/logger.ts';
import { unavailable } from '../../shared/http/problem.ts';
import { ConflictError } from '../../shared/dapr/sidecar-call.ts';
import {
  retryOnConflict,
  type StateStore,
  type StateEntry,
  type StateOperation,
} from '../../shared/dapr/state-store.ts';
import type { RevokedSessions } from '../contract.ts';
import {
  lengthOf,
  nextEra,
  NO_REVOCATIONS,
  activeRevocations,
  revokedUntil,
  addRevocations,
  type RevocationList,
  type Revocation,
} from '../domain/revoked-sessions.ts';
import { secondsLeft, type Session } from '../domain/session.ts';
import type { SessionsEnded } from '../domain/user.ts';

export interface SessionStore {
  load: (sessionId: string) => Promise<StateEntry<Session> | undefined>;
  add: (session: Session) => Promise<void>;
  /** @throws ConflictError if the session was refreshed or ended meanwhile */
  replace: (loaded: StateEntry<Session>, next: Session) => Promise<void>;
  /**
   * Deletes the session and lists it as ended, in one transaction.
   *
   * @returns whether the session existed
   * @throws ProblemError 503 if the store is unavailable or overloaded; then nothing has changed
   */
  end: (sessionId: string) => Promise<boolean>;
  /** Lists all sessions of the user before a token version as ended. A repetition changes nothing. @throws as `end` does */
  endAll: (userId: string, ended: SessionsEnded) => Promise<void>;
  /** The ended sessions whose access tokens may still be valid. */
  revocations: () => Promise<RevokedSessions>;
  /**
   * The era of new tokens. Callers load it before the account, so that no token of this era belongs to a token version that ended
   * in the previous era (services/decisions/0021-full-list-of-ended-sessions.md).
   */
  era: () => Promise<number>;
}

const REVOCATIONS_KEY = 'revoked-sessions';
/** The document of the era, which every login and refresh reads. */
const ERA_KEY = 'token-era';

interface TokenEra {
  era: number;
}

const sessionKey = (sessionId: string) => `session:${sessionId}`;

/** The maximum length of the list, which gateways read every second. A full list starts a new era. */
const MAX_REVOCATIONS = 20_000;

export function createSessionStore({
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
  const commit = createBatcher<Revocation, boolean>(async (endings) => {
    const attempt = async () => {
      const stored = await state.get<RevocationList>(REVOCATIONS_KEY);
      const before = stored?.value ?? NO_REVOCATIONS;
      const keys = endings.flatMap((ending) =>
        'session_id' in ending ? [sessionKey(ending.session_id)] : [],
      );
      const found = await state.getMany<Session>([...new Set(keys)]);
      const listed = addRevocations(before, endings, now());
      const next: RevocationList = lengthOf(listed) > MAX_REVOCATIONS ? nextEra(listed) : listed;
      const writes = [...found].map(([key, { etag }]): StateOperation => ({ op: 'delete', key, etag }));
      if (next !== before) writes.push({ op: 'put', key: REVOCATIONS_KEY, value: next, etag: stored?.etag });
      if (next.era !== before.era) {
        const era = await state.get<TokenEra>(ERA_KEY);
        writes.push({ op: 'put', key: ERA_KEY, value: { era: next.era }, etag: era?.etag });
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
    end: (sessionId) => commit({ session_id: sessionId, until: revokedUntil(now(), tokenTtlSeconds) }),
    async endAll(userId, { token_version, except, at }) {
      const until = revokedUntil(new Date(at), tokenTtlSeconds);
      if (until * 1000 > now().getTime()) await commit({ user_id: userId, token_version, except, until });
    },
    async revocations() {
      const stored = await state.get<RevocationList>(REVOCATIONS_KEY);
      return activeRevocations(stored?.value ?? NO_REVOCATIONS, now());
    },
    era: async () => (await state.get<TokenEra>(ERA_KEY))?.value.era ?? 0,
  };
}
