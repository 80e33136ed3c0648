import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { TOKEN_AUDIENCE, TOKEN_ISSUER } from '../../services/users/contract.ts';
import type { FakeSidecar } from './fake-sidecar.ts';

export interface Key {
  privateKey: CryptoKey;
  jwk: JWK;
}

export async function createKey(kid: string, alg = 'ES256'): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair(alg);
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export interface Claims {
  sub?: string;
  role?: string | undefined;
  iss?: string;
  aud?: string;
  exp?: number;
  nbf?: number;
  sid?: string;
  ver?: number | undefined;
  era?: number;
}

/** An access token as `users` signs it, valid for an hour from now. */
export function signToken({ privateKey, jwk }: Key, claims: Claims = {}): Promise<string> {
  return new SignJWT({
    sub: randomUUID(),
    role: 'customer',
    iss: TOKEN_ISSUER,
    aud: TOKEN_AUDIENCE,
    exp: Math.floor(Date.now() / 1000) + 3600,
    sid: randomUUID(),
    ver: 0,
    ...claims,
  })
    .setProtectedHeader({ alg: jwk.alg!, kid: jwk.kid! })
    .sign(privateKey);
}

/** Lets the fake sidecar respond as `users` with these keys and revoked sessions. All other paths get `otherwise`. */
export function stubUsersService(
  sidecar: FakeSidecar,
  users: { keys: readonly Key[]; ended?: () => unknown[]; era?: () => number; otherwise?: unknown },
): void {
  sidecar.answer('users', ({ path }) => ({
    status: 200,
    body:
      path === '/.well-known/jwks.json'
        ? { keys: users.keys.map(({ jwk }) => jwk) }
        : path === '/sessions/revoked'
          ? { items: users.ended?.() ?? [], era: users.era?.() ?? 0 }
          : (users.otherwise ?? {}),
  }));
}
