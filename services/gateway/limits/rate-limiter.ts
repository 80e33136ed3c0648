import type { Request, RequestHandler } from 'express';
import { rateLimit } from 'express-rate-limit';
import type { Caller } from '../../shared/http/caller.ts';
import { ProblemError } from '../../shared/http/problem.ts';
import type { ClientAddress } from './client-address.ts';
import type { RateLimitStore } from './rate-limit-store.ts';
import { estimate, retryAfterMs, type Window } from './sliding-window.ts';

/** The requests per minute and caller, by kind of route. */
export interface Limits {
  /** Routes without a token. */
  default: number;
  /** Routes with a token. */
  api: number;
  /** Routes that attackers could use to guess secrets: register and log in. */
  auth: number;
}

export type LimitClass = keyof Limits;

export interface RateLimits {
  /** Counts a request and sets the `RateLimit` headers. Beyond the limit, it answers 429 with `Retry-After`. */
  handlers: Readonly<Record<LimitClass, RequestHandler>>;
  /** Counts a gRPC call or a failed token. @returns the problem to send beyond the limit */
  count: (name: LimitClass, key: string) => Promise<ProblemError | undefined>;
}

const WINDOW_MS = 60_000;

/**
 * Rate limits over a sliding window, by the subject of the token, or by the address of the client
 * (https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers).
 */
export function createRateLimits(deps: {
  limits: () => Limits;
  rateLimitStore: RateLimitStore;
  now: () => Date;
  clientAddress: ClientAddress;
}): RateLimits {
  const { limits, rateLimitStore, now, clientAddress } = deps;
  const windowOf = (name: LimitClass): Window => ({ limit: limits()[name], lengthMs: WINDOW_MS });

  async function consume(name: LimitClass, key: string) {
    const at = now().getTime();
    const window = windowOf(name);
    const counted = await rateLimitStore.consume(`${name}:${key}`, at, window);
    const used = counted.allowed ? Math.ceil(estimate(counted, at, window)) : window.limit + 1;
    const until = counted.allowed
      ? WINDOW_MS - (at % WINDOW_MS)
      : Math.max(1_000, retryAfterMs(counted, at, window));
    return { allowed: counted.allowed, used, until };
  }

  const handlerOf = (name: LimitClass) =>
    rateLimit({
      windowMs: WINDOW_MS,
      limit: () => limits()[name],
      identifier: name,
      standardHeaders: 'draft-8',
      legacyHeaders: false,
      passOnStoreError: true,
      keyGenerator: (req, res) =>
        (name === 'api' ? callerOf(res.locals)?.id : undefined) ?? addressOf(req, clientAddress),
      handler: (_req, res, next) => next(tooMany(Number(res.getHeader('retry-after') ?? 1))),
      store: {
        async increment(key) {
          const { used, until } = await consume(name, key);
          return { totalHits: used, resetTime: new Date(Date.now() + until) };
        },
        // The limits never undo a count.
        decrement: () => {},
        resetKey: () => {},
      },
    });

  return {
    handlers: { default: handlerOf('default'), api: handlerOf('api'), auth: handlerOf('auth') },
    async count(name, key) {
      const { allowed, until } = await consume(name, key);
      return allowed ? undefined : tooMany(Math.ceil(until / 1000));
    },
  };
}

const callerOf = (locals: Record<string, unknown>) => locals['caller'] as Caller | undefined;

export function addressOf(req: Request, clientAddress: ClientAddress): string {
  return clientAddress(req.socket.remoteAddress, req.get('x-forwarded-for'));
}

const tooMany = (seconds: number) =>
  new ProblemError(429, 'too-many-requests', 'Too many requests. Try again after the time in Retry-After.', {
    headers: { 'retry-after': String(seconds) },
  });
