import type { z } from 'zod';
import { withoutTrace } from '../../shared/telemetry/request-context.ts';
import type { Logger } from '../../shared/telemetry/logger.ts';
import { unavailable } from '../../shared/http/problem.ts';
import type { Sidecar } from '../../shared/dapr/sidecar.ts';
import { parseResponse } from '../../shared/http/validation.ts';
import { createCache } from '../../shared/util/cached.ts';
import { revokedSessionsSchema } from '../../users/contract.ts';

/** The claims of an access token about its session. */
export interface SessionClaims {
  sub: string;
  sid: string;
  token_version: number;
  era: number;
}

/** How fresh the list of ended sessions must be: a few seconds old, or fetched after the call. */
export type Freshness = 'recent' | 'current';

/** Whether the session of a token has ended. @throws ProblemError 503 if no list was ever fetched */
export type IsRevoked = (claims: SessionClaims, freshness: Freshness) => Promise<boolean>;

interface Revocations {
  sessions: ReadonlySet<string>;
  users: ReadonlyMap<string, { token_version: number; except?: string | undefined }>;
  era: number;
}

/** The age after which the list is fetched again in the background. */
const REFRESH_AFTER_MS = 1_000;
/** The age after which a request waits for a new list, unless `users` is unavailable. */
const MAX_AGE_MS = 4_000;
/** The timeout of a fetch, and the pause after a failure. */
const REQUEST_TIMEOUT_MS = 1_000;
const RETRY_BACKOFF_MS = 2_000;

/**
 * Fetches the ended sessions from `users`, on demand and at most once per second. Every replica rejects a token within five
 * seconds after its session has ended. A caller with the freshness `current` waits for a list that is fetched after its call
 * (services/decisions/0012-no-order-for-an-account-that-is-gone.md). Concurrent callers share one fetch. While `users` is
 * unavailable, the last list stays valid.
 */
export function createRevocationCheck(deps: {
  sidecar: Pick<Sidecar, 'invoke'>;
  log: Logger;
  /** Monotonic milliseconds. */
  clock: () => number;
}): IsRevoked {
  const { sidecar, log, clock } = deps;
  const list = createCache(fetchRevocations, clock);
  let refreshingNext: Promise<void> | undefined;

  async function fetchRevocations(): Promise<Revocations> {
    try {
      const response = await withoutTrace(() =>
        sidecar.invoke('users', { method: 'GET', path: '/sessions/revoked', timeoutMs: REQUEST_TIMEOUT_MS }),
      );
      return revocationsOf(parseResponse(revokedSessionsSchema, response));
    } catch (err) {
      log.warn({ err }, 'fetching ended sessions failed');
      throw err;
    }
  }

  /** Fetches a new list, except in the pause after a failure. */
  async function refresh(): Promise<void> {
    if (list.isLoading() || list.failureAgeMs() >= RETRY_BACKOFF_MS) await list.refresh().catch(() => {});
  }

  /** Waits for a list that is fetched after this call. The fetch in progress may be too old. */
  function refreshAfterThis(): Promise<void> {
    if (!list.isLoading()) return refresh();
    refreshingNext ??= refresh().then(() => {
      refreshingNext = undefined;
      return refresh();
    });
    return refreshingNext;
  }

  const isOut = () => list.value() !== undefined && list.failureAgeMs() < list.ageMs();

  return async ({ sub, sid, token_version, era }, freshness) => {
    if (freshness === 'current' && !isOut()) await refreshAfterThis();
    if (list.ageMs() > MAX_AGE_MS && !isOut()) await refresh();
    else if (list.ageMs() > REFRESH_AFTER_MS) void refresh();
    const known = list.value();
    if (!known) throw unavailable();
    if (era < known.era) return true;
    const ended = known.users.get(sub);
    return (
      known.sessions.has(sid) ||
      (ended !== undefined && token_version < ended.token_version && sid !== ended.except)
    );
  };
}

function revocationsOf({ items, era }: z.infer<typeof revokedSessionsSchema>): Revocations {
  const sessions = new Set<string>();
  const users = new Map<string, { token_version: number; except?: string | undefined }>();
  for (const item of items)
    if ('session_id' in item) sessions.add(item.session_id);
    else if ((users.get(item.user_id)?.token_version ?? -1) < item.token_version)
      users.set(item.user_id, item);
  return { sessions, users, era };
}
