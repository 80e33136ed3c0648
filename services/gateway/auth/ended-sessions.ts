import { outOfTrace } from '../../shared/context.ts';
import type { Logger } from '../../shared/log.ts';
import { unavailable } from '../../shared/problem.ts';
import type { Sidecar } from '../../shared/sidecar.ts';
import { parseAnswer } from '../../shared/validate.ts';
import { endedSessionsSchema } from '../../users/contract.ts';

/** The claims of an access token about its session. */
export interface SessionClaims {
  sub: string;
  sid: string;
  epoch: number;
  era: number;
}

/** How fresh the list of ended sessions must be: a few seconds old, or fetched after the call. */
export type Freshness = 'recent' | 'current';

/** Whether the session of a token has ended. @throws Problem 503 if no list was ever fetched */
export type HasEnded = (claims: SessionClaims, freshness: Freshness) => Promise<boolean>;

interface Ended {
  sessions: ReadonlySet<string>;
  users: ReadonlyMap<string, { epoch: number; except?: string | undefined }>;
  era: number;
}

/** The age after which the list is fetched again in the background. Milliseconds. */
const FRESH_FOR = 1_000;
/** The age after which a request waits for a new list, unless `users` is unavailable. Milliseconds. */
const USED_FOR = 4_000;
/** The timeout of a fetch, and the pause after a failure. Milliseconds. */
const ANSWER_WITHIN = 1_000;
const ASK_AGAIN_AFTER = 2_000;

/**
 * Fetches the ended sessions from `users`, on demand and at most once per second. Every replica rejects a token within five
 * seconds after its session has ended. A caller with the freshness `current` waits for a list that is fetched after its call
 * (services/decisions/0012-no-order-for-an-account-that-is-gone.md). Concurrent callers share one fetch. While `users` is
 * unavailable, the last list stays valid.
 */
export function endedSessions(deps: {
  sidecar: Pick<Sidecar, 'invoke'>;
  log: Logger;
  /** Monotonic milliseconds. */
  clock: () => number;
}): HasEnded {
  const { sidecar, log, clock } = deps;
  let known: Ended | undefined;
  let knownAt = -Infinity;
  let asking: Promise<void> | undefined;
  let askingNext: Promise<void> | undefined;
  let failedAt = -Infinity;

  async function ask(): Promise<void> {
    const started = clock();
    const response = await outOfTrace(() =>
      sidecar.invoke('users', { method: 'GET', path: '/sessions/ended', timeout: ANSWER_WITHIN }),
    );
    const { items, era } = parseAnswer(endedSessionsSchema, response);
    const sessions = new Set<string>();
    const users = new Map<string, { epoch: number; except?: string | undefined }>();
    for (const item of items)
      if ('session_id' in item) sessions.add(item.session_id);
      else if ((users.get(item.user_id)?.epoch ?? -1) < item.epoch) users.set(item.user_id, item);
    known = { sessions, users, era };
    knownAt = started;
  }

  function askOnce(): Promise<void> {
    if (asking) return asking;
    if (clock() - failedAt < ASK_AGAIN_AFTER) return Promise.resolve();
    asking = ask()
      .catch((err: unknown) => {
        failedAt = clock();
        log.warn({ err }, 'fetching ended sessions failed');
      })
      .finally(() => (asking = undefined));
    return asking;
  }

  /** Waits for a list that is fetched after this call. The fetch in progress may be too old. */
  function askAfterThis(): Promise<void> {
    if (!asking) return askOnce();
    askingNext ??= asking.then(() => {
      askingNext = undefined;
      return askOnce();
    });
    return askingNext;
  }

  const isOut = () => known !== undefined && failedAt > knownAt;

  return async ({ sub, sid, epoch, era }, freshness) => {
    if (freshness === 'current' && !isOut()) await askAfterThis();
    const age = clock() - knownAt;
    if (age > USED_FOR && !isOut()) await askOnce();
    else if (age > FRESH_FOR) void askOnce();
    if (!known) throw unavailable();
    if (era < known.era) return true;
    const ended = known.users.get(sub);
    return known.sessions.has(sid) || (ended !== undefined && epoch < ended.epoch && sid !== ended.except);
  };
}
