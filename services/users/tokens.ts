import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  SignJWT,
  type JSONWebKeySet,
  type JWK,
} from 'jose';
import { v7 as uuidv7 } from 'uuid';
import { retryOnConflict, type StateStore } from '../shared/state.ts';
import { TOKEN_ALGORITHM, TOKEN_AUDIENCE, TOKEN_ISSUER, type User } from './contract.ts';

export interface Tokens {
  /** A signed access token (RFC 7519) that names the user and the role. */
  issue: (user: User) => Promise<string>;
  /** Seconds. */
  expiresIn: number;
  /** The public halves of the keys (RFC 7517). */
  jwks: JSONWebKeySet;
}

const KEYS = 'signing-keys';

/**
 * The private keys, newest last; made at the first start and the same in every replica. A list, so that keys can take
 * turns one day.
 */
export function signingKeys(state: StateStore): Promise<JWK[]> {
  return retryOnConflict(async () => {
    const stored = await state.get<JWK[]>(KEYS);
    if (stored) return stored.value;
    const { privateKey, publicKey } = await generateKeyPair(TOKEN_ALGORITHM, { extractable: true });
    const kid = await calculateJwkThumbprint(await exportJWK(publicKey));
    const keys = [{ ...(await exportJWK(privateKey)), kid, alg: TOKEN_ALGORITHM, use: 'sig' }];
    await state.write({ op: 'put', key: KEYS, value: keys });
    return keys;
  });
}

/** Signs with the newest of `keys`, each of which needs its `kid`. */
export async function tokenIssuer(keys: JWK[], expiresIn: number): Promise<Tokens> {
  const newest = keys.at(-1);
  if (!newest?.kid) throw new Error('there is no signing key');
  const header = { alg: TOKEN_ALGORITHM, kid: newest.kid, typ: 'JWT' };
  const key = await importJWK(newest, TOKEN_ALGORITHM);
  return {
    expiresIn,
    jwks: { keys: keys.map(publicHalf) },
    issue: ({ user_id, role }) =>
      new SignJWT({ role })
        .setProtectedHeader(header)
        .setIssuer(TOKEN_ISSUER)
        .setAudience(TOKEN_AUDIENCE)
        .setSubject(user_id)
        .setJti(uuidv7())
        .setIssuedAt()
        .setExpirationTime(`${expiresIn}s`)
        .sign(key),
  };
}

/** What is public is named, rather than what is private: a field that is new to us stays here. */
function publicHalf({ kty, crv, x, y, kid, alg, use }: JWK): JWK {
  return { kty, crv, x, y, kid, alg, use } as JWK;
}
