import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { addRequestFields } from '../shared/telemetry/request-context.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { ProblemError } from '../shared/http/problem.ts';
import { retryOnConflict } from '../shared/dapr/state-store.ts';
import type { TokenAnswer } from './contract.ts';
import type { Counters } from './metrics.ts';
import { isGenuine, parseRefreshToken, refreshTokenOf } from './domain/refresh-token.ts';
import { begun, decide, isOpen, rotated, secondsLeft, type Session } from './domain/session.ts';
import type { SessionStore } from './store/session-store.ts';
import type { TokenIssuer } from './tokens.ts';
import type { UserStore } from './store/user-store.ts';
import { isErased, type Account } from './domain/user.ts';

export interface Sessions {
  /** The first tokens of a new session. @param era the era, loaded before the account */
  begin: (account: Account, era: number) => Promise<TokenAnswer>;
  /**
   * Exchanges a refresh token for new tokens (RFC 6749, 6). A used refresh token ends its session.
   *
   * @throws ProblemError 401, equal for every invalid token
   */
  refresh: (refreshToken: string) => Promise<TokenAnswer>;
  /** Ends the caller's session, and the session of the refresh token if it also belongs to the caller. */
  logOut: (
    caller: { id: string; session?: string | undefined },
    refreshToken: string | undefined,
  ) => Promise<void>;
  /** @throws ProblemError 401 if the session has ended, or does not belong to the account */
  assertActive: (sessionId: string, account: Account) => Promise<void>;
}

const invalidToken = () =>
  new ProblemError(401, 'invalid-token', 'The refresh token is not valid. Log in again.');

export function createSessions(deps: {
  store: SessionStore;
  users: UserStore;
  tokens: TokenIssuer;
  counters: Counters;
  log: Logger;
  now: () => Date;
  refreshTtlSeconds: number;
}): Sessions {
  const { store, users, tokens, counters, log, now, refreshTtlSeconds } = deps;

  /** @param at the time of the login or refresh, from which the remaining lifetime counts */
  async function tokensOf(session: Session, account: Account, era: number, at: Date): Promise<TokenAnswer> {
    const left = secondsLeft(session, at);
    const { token, expiresIn } = await tokens.issue(account, session, era, left);
    return {
      access_token: token,
      token_type: 'Bearer',
      expires_in: expiresIn,
      refresh_token: refreshTokenOf(session),
      refresh_expires_in: left,
    };
  }

  async function loadAccount(userId: string): Promise<Account | undefined> {
    const document = (await users.load(userId))?.value;
    return document && !isErased(document) ? document : undefined;
  }

  async function endReused({ session_id, user_id }: Session): Promise<void> {
    if (!(await store.end(session_id))) return;
    counters.sessionsEnded.inc({ reason: 'reuse' });
    log.warn(
      { audit: 'refresh-token-reuse', user_id, session_id },
      'session ended: refresh token used twice',
    );
  }

  async function ownerOf(refreshToken: string): Promise<Session | undefined> {
    const presented = parseRefreshToken(refreshToken);
    const session = presented && (await store.load(presented.sessionId))?.value;
    return session && isGenuine(presented, session) ? session : undefined;
  }

  async function logOutOf(sessionId: string): Promise<void> {
    if (await store.end(sessionId)) counters.sessionsEnded.inc({ reason: 'logout' });
  }

  return {
    async begin(account, era) {
      const names = { session_id: uuidv7(), key: randomBytes(32).toString('base64url') };
      const at = now();
      const session = begun(names, account, at, refreshTtlSeconds);
      const answer = await tokensOf(session, account, era, at);
      await store.add(session);
      return answer;
    },

    async refresh(refreshToken) {
      const presented = parseRefreshToken(refreshToken);
      if (!presented) throw invalidToken();
      return retryOnConflict(async () => {
        const [loaded, era] = await Promise.all([store.load(presented.sessionId), store.era()]);
        if (!loaded || !isGenuine(presented, loaded.value)) throw invalidToken();
        const session = loaded.value;
        addRequestFields({ user_id: session.user_id });
        const account = await loadAccount(session.user_id);
        const at = now();
        const decision = decide(session, presented.generation, account, at);
        if (decision === 'reuse') await endReused(session);
        if (decision !== 'rotate' || !account) throw invalidToken();
        const next = rotated(session, account, at, refreshTtlSeconds);
        // Signed before saving, so that the client can retry with the same token if signing fails.
        const answer = await tokensOf(next, account, era, at);
        await store.replace(loaded, next);
        counters.refreshes.inc({});
        return answer;
      });
    },

    async logOut(caller, refreshToken) {
      const other = refreshToken === undefined ? undefined : await ownerOf(refreshToken);
      const isOther = other?.user_id === caller.id && other.session_id !== caller.session;
      if (isOther) await logOutOf(other.session_id);
      // Last, because the access token is rejected afterwards, and the caller could not retry the rest.
      if (caller.session !== undefined) await logOutOf(caller.session);
    },

    async assertActive(sessionId, account) {
      const session = (await store.load(sessionId))?.value;
      if (!session || !isOpen(session, account, now()))
        throw new ProblemError(401, 'unauthenticated', 'The session has ended. Log in again.');
    },
  };
}
