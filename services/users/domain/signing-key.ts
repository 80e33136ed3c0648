import type { JWK } from 'jose';
import { CLOCKS_APART_SECONDS } from '../../shared/util/time.ts';

/** A private key, and the time from which it signs, until the next key does. */
export interface SigningKey {
  jwk: JWK;
  signs_from: string;
}

/** How long a copy of the keys is used before it is loaded again. */
export const KEY_CACHE_SECONDS = 30;
/** How long a new key is public before it signs, so that every replica and gateway knows it. */
export const PUBLISH_LEAD_SECONDS = 120;

/**
 * Whether a new key is due. A start later than any clock difference explains comes from a wrong clock. It must not block
 * the rotation.
 */
export function isNewKeyDue(keys: readonly SigningKey[], now: Date, rotationSeconds: number): boolean {
  const newest = keys.at(-1);
  if (!newest) return true;
  const age = secondsSince(newest, now);
  return age >= rotationSeconds || age < -(PUBLISH_LEAD_SECONDS + CLOCKS_APART_SECONDS);
}

/** The keys, without those whose tokens have all expired. */
export function withoutRetired(
  keys: readonly SigningKey[],
  now: Date,
  tokenTtlSeconds: number,
): readonly SigningKey[] {
  const isRetired = (_: SigningKey, position: number) => {
    const next = keys[position + 1];
    // A replica may sign with the old key while its copy of the keys is old, or its clock is behind.
    const last = KEY_CACHE_SECONDS + tokenTtlSeconds + 2 * CLOCKS_APART_SECONDS;
    return next !== undefined && secondsSince(next, now) > last;
  };
  return keys.filter((key, position) => !isRetired(key, position));
}

/** The key that signs now. @throws Error without keys */
export function signerAt(keys: readonly SigningKey[], now: Date): SigningKey {
  // If no key has started yet, a replica whose clock is ahead has just created the first one.
  const signer = keys.findLast((key) => secondsSince(key, now) >= 0) ?? keys[0];
  if (!signer) throw new Error('there is no signing key');
  return signer;
}

const secondsSince = ({ signs_from }: SigningKey, now: Date) =>
  (now.getTime() - Date.parse(signs_from)) / 1000;
