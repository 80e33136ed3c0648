import type { Caller } from '../../shared/http/caller.ts';
import type { Logger } from '../../shared/telemetry/logger.ts';
import type { Metrics } from '../../shared/telemetry/metrics.ts';
import { OverloadedError, ProblemError } from '../../shared/http/problem.ts';
import type { Sidecar } from '../../shared/dapr/sidecar.ts';
import { createTokenVerifier, type VerifyToken } from './token-verifier.ts';
import { createClientAddress as clientAddresses, type ClientAddress } from '../limits/client-address.ts';
import type { Freshness } from './revoked-sessions.ts';
import type { RateLimitStore } from '../limits/rate-limit-store.ts';
import { createConcurrencyLimiter, type ConcurrencyLimiter } from '../limits/concurrency-limiter.ts';
import { createRateLimits, type Limits, type RateLimits } from '../limits/rate-limiter.ts';

/** The checks that HTTP and gRPC share. */
export interface AccessControl {
  /**
   * Identifies the caller. Failures are counted by address, because no caller is known. Requests that change something need the
   * freshness `current`.
   *
   * @throws ProblemError 401; 429 if the address has failed too often
   */
  authenticate: (authorization: string | undefined, address: string, freshness: Freshness) => Promise<Caller>;
  clientAddress: ClientAddress;
  limits: RateLimits;
  concurrency: ConcurrencyLimiter;
  /**
   * Registers an open stream of this caller, until the caller leaves or the token becomes invalid.
   *
   * @throws ProblemError 429 if the caller has too many streams, 503 if this replica has
   */
  openStream: (caller: Caller, authorization: string | undefined) => OpenStream;
}

export interface OpenStream {
  /** Aborts with a ProblemError 401 when the token expires or its session ends. */
  revoked: AbortSignal;
  close: () => void;
}

/** The maximum of open streams per caller and per replica, which bounds their memory. */
const MAX_STREAMS_PER_CALLER = 100;
const MAX_STREAMS = 1_500;
/** The interval at which the tokens of open streams are verified. */
const REVERIFY_INTERVAL_MS = 5_000;

export function createAccessControl(
  deps: {
    sidecar: Sidecar;
    log: Logger;
    metrics: Metrics;
    limits: () => Limits;
    rateLimitStore: RateLimitStore;
    now: () => Date;
    clock: () => number;
    trustedProxies: readonly string[];
  },
  verify: VerifyToken = createTokenVerifier(deps),
  concurrency: ConcurrencyLimiter = createConcurrencyLimiter(deps.metrics),
): AccessControl {
  const clientAddress = clientAddresses(deps.trustedProxies);
  const limits = createRateLimits({ ...deps, clientAddress });
  const ofCaller = new Map<string, number>();
  const open = new Set<{ authorization: string | undefined; refused: AbortController }>();

  setInterval(() => {
    for (const { authorization, refused } of open)
      verify(authorization, 'recent').catch((error: unknown) => {
        if (error instanceof ProblemError && error.status === 401) refused.abort(error);
      });
  }, REVERIFY_INTERVAL_MS).unref();

  return {
    clientAddress,
    limits,
    concurrency,

    async authenticate(authorization, address, freshness) {
      try {
        return await verify(authorization, freshness);
      } catch (error) {
        if (!(error instanceof ProblemError && error.status === 401)) throw error;
        throw (await limits.count('default', address)) ?? error;
      }
    },

    openStream({ id }, authorization) {
      const count = ofCaller.get(id) ?? 0;
      if (open.size >= MAX_STREAMS) throw new OverloadedError('Too many streams are open. Try again later.');
      if (count >= MAX_STREAMS_PER_CALLER)
        throw new ProblemError(
          429,
          'too-many-streams',
          `The caller has ${MAX_STREAMS_PER_CALLER} open streams. Close a stream and try again.`,
        );
      const stream = { authorization, refused: new AbortController() };
      open.add(stream);
      ofCaller.set(id, count + 1);
      return {
        revoked: stream.refused.signal,
        close() {
          if (!open.delete(stream)) return;
          const left = (ofCaller.get(id) ?? 1) - 1;
          if (left > 0) ofCaller.set(id, left);
          else ofCaller.delete(id);
        },
      };
    },
  };
}
