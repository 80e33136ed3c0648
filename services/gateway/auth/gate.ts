import type { Caller } from '../../shared/identity.ts';
import type { Logger } from '../../shared/log.ts';
import { Overload, Problem } from '../../shared/problem.ts';
import type { Sidecar } from '../../shared/sidecar.ts';
import { accessTokens, type VerifyToken } from './auth.ts';
import { clientAddress as clientAddresses, type ClientAddress } from '../limits/client-address.ts';
import type { Freshness } from './ended-sessions.ts';
import type { HitStore } from '../limits/hit-store.ts';
import { inFlight, type InFlight } from '../limits/in-flight.ts';
import { rateLimits, type Limits, type RateLimits } from '../limits/limits.ts';
import { liveOrders, type LiveOrders } from '../order-updates/live-orders.ts';

/** The checks that HTTP and gRPC share. */
export interface Gate {
  /**
   * Identifies the caller. Failures are counted by address, because no caller is known. Requests that change something need the
   * freshness `current`.
   *
   * @throws Problem 401; 429 if the address has failed too often
   */
  identify: (authorization: string | undefined, address: string, freshness: Freshness) => Promise<Caller>;
  clientAddress: ClientAddress;
  limits: RateLimits;
  inFlight: InFlight;
  live: LiveOrders;
  /**
   * Registers an open stream of this caller, until the caller leaves or the token becomes invalid.
   *
   * @throws Problem 429 if the caller has too many streams, 503 if this replica has
   */
  enterStream: (caller: Caller, authorization: string | undefined) => OpenStream;
}

export interface OpenStream {
  /** Aborts with a Problem 401 when the token expires or its session ends. */
  refused: AbortSignal;
  leave: () => void;
}

/** The maximum of open streams per caller and per replica, which bounds their memory. */
const MAX_OF_CALLER = 100;
const MAX_STREAMS = 1_500;
/** The interval at which the tokens of open streams are verified. Milliseconds. */
const VERIFY_EVERY = 5_000;

export function createGate(
  deps: {
    sidecar: Sidecar;
    log: Logger;
    limits: Limits;
    hits: HitStore;
    now: () => Date;
    clock: () => number;
    trustedProxies: readonly string[];
  },
  verify: VerifyToken = accessTokens(deps),
  room: InFlight = inFlight(),
): Gate {
  const clientAddress = clientAddresses(deps.trustedProxies);
  const limits = rateLimits({ ...deps, clientAddress });
  const ofCaller = new Map<string, number>();
  const open = new Set<{ authorization: string | undefined; refused: AbortController }>();

  setInterval(() => {
    for (const { authorization, refused } of open)
      verify(authorization, 'recent').catch((error: unknown) => {
        if (error instanceof Problem && error.status === 401) refused.abort(error);
      });
  }, VERIFY_EVERY).unref();

  return {
    clientAddress,
    limits,
    inFlight: room,
    live: liveOrders(deps.sidecar),

    async identify(authorization, address, freshness) {
      try {
        return await verify(authorization, freshness);
      } catch (error) {
        if (!(error instanceof Problem && error.status === 401)) throw error;
        throw (await limits.count('default', address)) ?? error;
      }
    },

    enterStream({ id }, authorization) {
      const count = ofCaller.get(id) ?? 0;
      if (open.size >= MAX_STREAMS) throw new Overload('Too many streams are open. Try again later.');
      if (count >= MAX_OF_CALLER)
        throw new Problem(
          429,
          'too-many-streams',
          `The caller has ${MAX_OF_CALLER} open streams. Close a stream and try again.`,
        );
      const stream = { authorization, refused: new AbortController() };
      open.add(stream);
      ofCaller.set(id, count + 1);
      return {
        refused: stream.refused.signal,
        leave() {
          if (!open.delete(stream)) return;
          const left = (ofCaller.get(id) ?? 1) - 1;
          if (left > 0) ofCaller.set(id, left);
          else ofCaller.delete(id);
        },
      };
    },
  };
}
