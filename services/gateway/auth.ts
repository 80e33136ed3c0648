import { createLocalJWKSet, errors, jwtVerify, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { LRUCache } from 'lru-cache';
import { hash } from 'node:crypto';
import { z } from 'zod';
import type { Caller } from '../shared/identity.ts';
import type { Logger } from '../shared/log.ts';
import { Problem, unavailable } from '../shared/problem.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { id } from '../shared/types.ts';
import { TOKEN_AUDIENCE, TOKEN_ISSUER, userRole } from '../users/contract.ts';
import { endedSessions } from './ended-sessions.ts';

interface AuthDeps {
  sidecar: Pick<Sidecar, 'invoke'>;
  log: Logger;
  now: () => Date;
}

/**
 * Tells who calls, by the value of an `Authorization` header (RFC 6750).
 *
 * @throws Problem 401 for a token that is missing or not valid; 503 where that cannot be known now
 */
export type VerifyToken = (authorization: string | undefined) => Promise<Caller>;

const claims = z.object({ sub: id, role: userRole, exp: z.number(), sid: id, epoch: z.int() });
type Claims = z.infer<typeof claims>;

/** Verifying a signature costs more than all else that the gateway does, so what it said is kept for these many. */
const KEPT_TOKENS = 10_000;

/** Verifies access tokens by the public keys of users, and that their sessions have not ended. */
export function accessTokens({ sidecar, log, now }: AuthDeps): VerifyToken {
  // By the token's hash: who reads the memory must find no tokens in it.
  const verified = new LRUCache<string, Claims>({ max: KEPT_TOKENS });
  const keys = publicKeys({ sidecar, now });
  const hasEnded = endedSessions({ sidecar, log, now });

  return async (authorization) => {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (!token) throw unauthenticated('This needs an access token.', 'Bearer');
    const key = hash('sha256', token, 'base64');
    let known = verified.get(key);
    if (!known || known.exp * 1000 <= now().getTime()) {
      known = await verify(token);
      verified.set(key, known);
    }
    if (await hasEnded(known)) throw invalidToken();
    return { id: known.sub, role: known.role, session: known.sid };
  };

  async function verify(token: string): Promise<Claims> {
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: ['ES256', 'EdDSA'],
        issuer: TOKEN_ISSUER,
        audience: TOKEN_AUDIENCE,
        currentDate: now(),
      });
      return claims.parse(payload);
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof z.ZodError) throw invalidToken();
      throw error;
    }
  }
}

const unauthenticated = (detail: string, challenge: string) =>
  new Problem(401, 'unauthenticated', detail, { headers: { 'www-authenticate': challenge } });

const invalidToken = () => unauthenticated('The access token is not valid.', 'Bearer error="invalid_token"');

/** A token may name a key that is newer than ours; whoever makes such names up does not get users asked more often. */
const ASK_AGAIN_AFTER_MS = 5_000;

function publicKeys({ sidecar, now }: Omit<AuthDeps, 'log'>): JWTVerifyGetKey {
  let known: Promise<JWTVerifyGetKey> | undefined;
  let askedAt = 0;

  async function ask(): Promise<JWTVerifyGetKey> {
    const response = await sidecar.invoke('users', { method: 'GET', path: '/.well-known/jwks.json' });
    if (response.status !== 200) throw unavailable();
    return createLocalJWKSet(JSON.parse(response.body.toString()) as JSONWebKeySet);
  }

  /** All who need the keys meanwhile wait for the same answer; where it fails, what was known before stays. */
  function fetchKeys(): Promise<JWTVerifyGetKey> {
    const before = known;
    askedAt = now().getTime();
    const asked = ask();
    known = asked;
    asked.catch(() => (known = before));
    return asked;
  }

  return async (header, token) => {
    const find = await (known ?? fetchKeys());
    try {
      return await find(header, token);
    } catch (error) {
      const isNew = error instanceof errors.JWKSNoMatchingKey;
      if (!isNew || now().getTime() - askedAt < ASK_AGAIN_AFTER_MS) throw error;
      return (await fetchKeys())(header, token);
    }
  };
}
