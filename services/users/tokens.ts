import { importJWK, SignJWT, type JSONWebKeySet, type JWK } from 'jose';
import { v7 as uuidv7 } from 'uuid';
import { TOKEN_ALGORITHM, TOKEN_AUDIENCE, TOKEN_ISSUER } from './contract.ts';
import type { Session } from './domain/session.ts';
import { signerAt } from './domain/signing-key.ts';
import type { SigningKeys } from './store/signing-keys.ts';
import type { Account } from './domain/user.ts';

export interface TokenIssuer {
  /**
   * Signs an access token (RFC 7519) with the user, the role and the session. Times are in seconds.
   *
   * @param era the era, loaded before the account
   * @param atMost the remaining lifetime of the session, which no access token exceeds
   */
  issue: (
    account: Account,
    session: Session,
    era: number,
    atMost: number,
  ) => Promise<{ token: string; expiresIn: number }>;
  /** The public halves of the keys (RFC 7517). */
  jwks: () => Promise<JSONWebKeySet>;
}

export function createTokenIssuer(deps: {
  keys: SigningKeys;
  now: () => Date;
  ttlSeconds: number;
}): TokenIssuer {
  const { keys, now, ttlSeconds } = deps;
  const imported = new WeakMap<JWK, ReturnType<typeof importJWK>>();

  function keyOf(jwk: JWK): ReturnType<typeof importJWK> {
    const known = imported.get(jwk) ?? importJWK(jwk, TOKEN_ALGORITHM);
    imported.set(jwk, known);
    return known;
  }

  return {
    async issue({ user_id, role }, { session_id, token_version }, era, atMost) {
      const known = await keys();
      const time = now();
      const { jwk } = signerAt(known, time);
      if (!jwk.kid) throw new Error('the signing key has no id');
      const issuedAt = Math.floor(time.getTime() / 1000);
      const expiresIn = Math.min(ttlSeconds, atMost);
      const token = await new SignJWT({
        role,
        sid: session_id,
        ver: token_version,
        ...(era > 0 ? { era } : {}),
      })
        .setProtectedHeader({ alg: TOKEN_ALGORITHM, kid: jwk.kid, typ: 'JWT' })
        .setIssuer(TOKEN_ISSUER)
        .setAudience(TOKEN_AUDIENCE)
        .setSubject(user_id)
        .setJti(uuidv7())
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + expiresIn)
        .sign(await keyOf(jwk));
      return { token, expiresIn };
    },

    jwks: async () => ({ keys: (await keys()).map(({ jwk }) => publicHalf(jwk)) }),
  };
}

/** An allow list of public fields, so that unknown fields stay private. */
function publicHalf({ kty, crv, x, y, kid, alg, use }: JWK): JWK {
  return { kty, crv, x, y, kid, alg, use } as JWK;
}
