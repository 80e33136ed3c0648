import type { JWK } from 'jose';
import { CLOCKS_APART_SECONDS } from '../../shared/clocks.ts';

/** A private key, and when its turn to sign begins. It goes on until the next one's does. */
export interface SigningKey {
  jwk: JWK;
  signs_from: string;
}

/** A copy of the keys is used for this long before it is read anew. Seconds. */
export const KNOWN_FOR = 30;
/** A new key is public this long before it signs: every replica and gateway knows it by then. Seconds. */
export const PUBLIC_BEFORE = 120;

/**
 * Whether it is time for a new key. A turn that begins later than any clock explains was set by one that was wrong: waiting for it
 * would end the taking of turns.
 */
export function isNewKeyDue(keys: readonly SigningKey[], now: Date, rotationSeconds: number): boolean {
  const newest = keys.at(-1);
  if (!newest) return true;
  const age = secondsSince(newest, now);
  return age >= rotationSeconds || age < -(PUBLIC_BEFORE + CLOCKS_APART_SECONDS);
}

/** The keys without those of which no valid token can be left. */
export function withoutRetired(
  keys: readonly SigningKey[],
  now: Date,
  tokenTtlSeconds: number,
): readonly SigningKey[] {
  const isRetired = (_: SigningKey, position: number) => {
    const next = keys[position + 1];
    // A replica may sign with the old key for as long as its copy of the keys is old, or its clock behind ours.
    const last = KNOWN_FOR + tokenTtlSeconds + 2 * CLOCKS_APART_SECONDS;
    return next !== undefined && secondsSince(next, now) > last;
  };
  return keys.filter((key, position) => !isRetired(key, position));
}

/** The key whose turn it is. @throws Error where there are no keys */
export function signerAt(keys: readonly SigningKey[], now: Date): SigningKey {
  // Where no turn has begun, another replica, whose clock is ahead, has just made the first key.
  const signer = keys.findLast((key) => secondsSince(key, now) >= 0) ?? keys[0];
  if (!signer) throw new Error('there is no signing key');
  return signer;
}

const secondsSince = ({ signs_from }: SigningKey, now: Date) =>
  (now.getTime() - Date.parse(signs_from)) / 1000;
