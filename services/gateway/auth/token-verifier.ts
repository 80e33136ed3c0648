import { createLocalJWKSet, errors, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { LRUCache } from 'lru-cache';
import { hash } from 'node:crypto';
import { z } from 'zod';
import { withoutTrace } from '../../shared/telemetry/request-context.ts';
import type { Caller } from '../../shared/http/caller.ts';
import type { Logger } from '../../shared/telemetry/logger.ts';
import { ProblemError } from '../../shared/http/problem.ts';
import type { Sidecar } from '../../shared/dapr/sidecar.ts';
import { id } from '../../shared/schemas/types.ts';
import { parseResponse } from '../../shared/http/validation.ts';
import { createCache } from '../../shared/util/cached.ts';
import { jwksSchema, TOKEN_AUDIENCE, TOKEN_ISSUER, userRole } from '../../users/contract.ts';
import { createRevocationCheck, type Freshness } from './revoked-sessions.ts';

interface AuthDeps {
  sidecar: Pick<Sidecar, 'invoke'>;
  log: Logger;
  now: () => Date;
  /** Monotonic milliseconds, for ages that must not depend on clock changes. */
  clock: () => number;
}

/**
 * Returns the caller of an `Authorization` header (RFC 6750). With the freshness `current`, it recognizes every session that
 * ended before the call.
 *
 * @throws ProblemError 401 for a missing or invalid token; 503 if the token cannot be verified
 */
export type VerifyToken = (authorization: string | undefined, freshness: Freshness) => Promise<Caller>;

/** Claims have short names, because every request carries them. */
const claims = z
  .object({
    sub: id,
    role: userRole,
    exp: z.number(),
    sid: id,
    ver: z.int(),
    era: z.int().default(0),
  })
  .transform(({ ver, ...others }) => ({ ...others, token_version: ver }));
type Claims = z.infer<typeof claims> & { kid: string };

/** The maximum of cached verified tokens. Verifying a signature is the most expensive step of the gateway. */
const TOKEN_CACHE_SIZE = 10_000;

/** Verifies access tokens with the public keys of `users`, and rejects tokens of ended sessions. */
export function createTokenVerifier({ sidecar, log, now, clock }: AuthDeps): VerifyToken {
  // The key is a hash, so that no token stays in memory after its request.
  const verified = new LRUCache<string, Claims>({ max: TOKEN_CACHE_SIZE });
  const keys = createPublicKeys({ sidecar, clock });
  const isRevoked = createRevocationCheck({ sidecar, log, clock });

  return async (authorization, freshness) => {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (!token)
      throw unauthenticated(
        'An access token is required. Send it as "Authorization: Bearer <token>".',
        'Bearer',
      );
    const key = hash('sha256', token, 'base64');
    let known = verified.get(key);
    if (!known || known.exp * 1000 <= now().getTime() || !keys.has(known.kid)) {
      known = await verify(token);
      verified.set(key, known);
    }
    if (await isRevoked(known, freshness)) throw invalidToken();
    return { id: known.sub, role: known.role, session: known.sid };
  };

  async function verify(token: string): Promise<Claims> {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, keys.find, {
        algorithms: ['ES256', 'EdDSA'],
        issuer: TOKEN_ISSUER,
        audience: TOKEN_AUDIENCE,
        currentDate: now(),
      });
      return { ...claims.parse(payload), kid: String(protectedHeader.kid) };
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof z.ZodError) throw invalidToken();
      throw error;
    }
  }
}

const unauthenticated = (detail: string, challenge: string) =>
  new ProblemError(401, 'unauthenticated', detail, { headers: { 'www-authenticate': challenge } });

const invalidToken = () =>
  unauthenticated(
    'The access token is not valid. Refresh the token or log in again.',
    'Bearer error="invalid_token"',
  );

/** The minimum interval of requests for new keys. Tokens with invented key ids cannot cause more. */
const JWKS_COOLDOWN_MS = 5_000;
/** The lifetime of the keys, which is also the `max-age` that `users` sends. */
const JWKS_MAX_AGE_MS = 60_000;

interface PublicKeys {
  find: JWTVerifyGetKey;
  /** Whether a key with this id exists. */
  has: (kid: string) => boolean;
}

/** jose's own cache follows the clock on the wall (services/decisions/0130-libraries-and-own-code.md). */
function createPublicKeys({ sidecar, clock }: Pick<AuthDeps, 'sidecar' | 'clock'>): PublicKeys {
  const keys = createCache(async () => {
    const response = await sidecar.invoke('users', { method: 'GET', path: '/.well-known/jwks.json' });
    const jwks = parseResponse(jwksSchema, response);
    return { find: createLocalJWKSet(jwks), kids: new Set(jwks.keys.map(({ kid }) => kid)) };
  }, clock);

  return {
    has(kid) {
      // In the background: a revoked key is removed a moment later.
      if (keys.attemptAgeMs() > JWKS_MAX_AGE_MS) withoutTrace(keys.refresh).catch(() => {});
      return keys.value()?.kids.has(kid) ?? false;
    },
    async find(header, token) {
      let known = keys.value() ?? (await keys.refresh());
      const isNew = !known.kids.has(String(header.kid));
      if (isNew && keys.attemptAgeMs() >= JWKS_COOLDOWN_MS) known = await keys.refresh();
      return known.find(header, token);
    },
  };
}
