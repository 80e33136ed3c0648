import type { Caller } from '../shared/identity.ts';
import type { Logger } from '../shared/log.ts';
import { Problem, unavailable } from '../shared/problem.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { accessTokens, type VerifyToken } from './auth.ts';
import type { HitStore } from './hit-store.ts';
import { rateLimits, type Limits, type RateLimits } from './limits.ts';
import { liveOrders, type LiveOrders } from './live-orders.ts';

/** What both doors of the gateway, HTTP and gRPC, ask before they let anyone in. */
export interface Gate {
  verify: VerifyToken;
  /**
   * Who calls. Who fails is counted by the address: there is no caller to count by.
   *
   * @throws Problem 401; 429 where the address has failed too often
   */
  identify: (authorization: string | undefined, address: string) => Promise<Caller>;
  limits: RateLimits;
  live: LiveOrders;
  /**
   * Lets a stream of this caller be open, until what is returned is called.
   *
   * @throws Problem 429 where the caller has too many, 503 where this replica has
   */
  enterStream: (callerId: string) => () => void;
}

/** Streams of one caller, and of this replica. */
const MAX_OF_CALLER = 100;
const MAX_STREAMS = 5_000;

export function createGate(deps: {
  sidecar: Sidecar;
  log: Logger;
  limits: Limits;
  hits: HitStore;
  now: () => Date;
}): Gate {
  const verify = accessTokens(deps);
  const limits = rateLimits(deps.limits, deps.hits, deps.now);
  const open = new Map<string, number>();
  let streams = 0;

  return {
    verify,
    limits,
    live: liveOrders(deps.sidecar),

    async identify(authorization, address) {
      try {
        return await verify(authorization);
      } catch (error) {
        if (!(error instanceof Problem && error.status === 401)) throw error;
        throw (await limits.count('default', address)) ?? error;
      }
    },

    enterStream(callerId) {
      const ofCaller = open.get(callerId) ?? 0;
      if (streams >= MAX_STREAMS) throw unavailable('Too many streams are open.');
      if (ofCaller >= MAX_OF_CALLER)
        throw new Problem(429, 'too-many-streams', `You have ${MAX_OF_CALLER} streams open. Close one.`, {
          headers: { 'retry-after': '1' },
        });
      streams += 1;
      open.set(callerId, ofCaller + 1);
      return () => {
        streams -= 1;
        const left = (open.get(callerId) ?? 1) - 1;
        if (left > 0) open.set(callerId, left);
        else open.delete(callerId);
      };
    },
  };
}
