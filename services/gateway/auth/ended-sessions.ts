import { outOfTrace } from '../../shared/context.ts';
import type { Logger } from '../../shared/log.ts';
import { unavailable } from '../../shared/problem.ts';
import type { Sidecar } from '../../shared/sidecar.ts';
import { parseAnswer } from '../../shared/validate.ts';
import { endedSessionsSchema } from '../../users/contract.ts';

/** What an access token says of its session. */
export interface SessionClaims {
  sub: string;
  sid: string;
  epoch: number;
  era: number;
}

/** How old what is known of ended sessions may be: some seconds, or as of this moment. */
export type Freshness = 'recent' | 'current';

/** Whether the session of a token has ended. @throws Problem 503 where that was never known */
export type HasEnded = (claims: SessionClaims, freshness: Freshness) => Promise<boolean>;

interface Ended {
  sessions: ReadonlySet<string>;
  users: ReadonlyMap<string, { epoch: number; except?: string | undefined }>;
  era: number;
}

/** A list of this age is asked for anew, while it is still used. Milliseconds. */
const FRESH_FOR = 1_000;
/** A list of this age is not used any more, if there is a newer one to be had. Milliseconds. */
const USED_FOR = 4_000;
/** Milliseconds to wait for it, and after a failure until the next try. */
const ANSWER_WITHIN = 1_000;
const ASK_AGAIN_AFTER = 2_000;

/**
 * Asks users which sessions have ended, when there are requests and no more than once a second: a token is refused five
 * seconds after its session has ended, at every replica. Who asks for what is `current` waits for a list that was asked for
 * after that, together with all others who do: see services/decisions/0012-no-order-for-an-account-that-is-gone.md. While
 * users is out of reach, what was known last goes on to count, and nobody waits for it.
 */
export function endedSessions(deps: {
  sidecar: Pick<Sidecar, 'invoke'>;
  log: Logger;
  /** Monotonic, in milliseconds. */
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

  /** What is being asked for may have been answered already, and so be too old. */
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
