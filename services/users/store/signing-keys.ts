import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import type { Logger } from '../../shared/log.ts';
import { retryOnConflict, type StateStore } from '../../shared/state.ts';
import { TOKEN_ALGORITHM } from '../contract.ts';
import {
  isNewKeyDue,
  KNOWN_FOR,
  PUBLIC_BEFORE,
  withoutRetired,
  type SigningKey,
} from '../domain/signing-key.ts';

/** The keys, newest last. The list is never empty. */
export type SigningKeys = () => Promise<readonly SigningKey[]>;

const KEYS = 'signing-keys';
/** The pause between two attempts to load the keys. Milliseconds. */
const TRY_AGAIN_AFTER = 1_000;

/**
 * The private keys, which all replicas share. A replica that finds the newest key too old adds the next one, so the
 * rotation needs no job.
 *
 * @param deps.clock monotonic milliseconds
 * @param deps.rotationSeconds how long a key signs
 */
export function signingKeys(deps: {
  state: StateStore;
  log: Logger;
  now: () => Date;
  clock: () => number;
  rotationSeconds: number;
  tokenTtlSeconds: number;
}): SigningKeys {
  const { state, log, now, clock, rotationSeconds, tokenTtlSeconds } = deps;
  let known: readonly SigningKey[] | undefined;
  let knownUntil = -Infinity;
  let reading: Promise<readonly SigningKey[]> | undefined;

  const turned = () =>
    retryOnConflict(async () => {
      const stored = await state.get<SigningKey[]>(KEYS);
      const before = stored?.value ?? [];
      const time = now();
      const kept = withoutRetired(before, time, tokenTtlSeconds);
      const isDue = isNewKeyDue(kept, time, rotationSeconds);
      if (!isDue && kept.length === before.length) return before;
      const next = isDue
        ? [...kept, await newKey(kept.length === 0 ? time : later(time, PUBLIC_BEFORE))]
        : kept;
      await state.write({ op: 'put', key: KEYS, value: next, etag: stored?.etag });
      if (isDue) log.info({ kid: next.at(-1)?.jwk.kid }, 'signing key created');
      return next;
    });

  async function read(): Promise<readonly SigningKey[]> {
    try {
      known = await turned();
      knownUntil = clock() + KNOWN_FOR * 1000;
    } catch (err) {
      if (!known) throw err;
      log.warn({ err }, 'reading signing keys failed; using cached keys');
      knownUntil = clock() + TRY_AGAIN_AFTER;
    }
    return known;
  }

  return async () => {
    if (known && clock() < knownUntil) return known;
    reading ??= read().finally(() => (reading = undefined));
    return reading;
  };
}

const later = (time: Date, seconds: number) => new Date(time.getTime() + seconds * 1000);

async function newKey(signsFrom: Date): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(TOKEN_ALGORITHM, { extractable: true });
  const kid = await calculateJwkThumbprint(await exportJWK(publicKey));
  const jwk = { ...(await exportJWK(privateKey)), kid, alg: TOKEN_ALGORITHM, use: 'sig' };
  return { jwk, signs_from: signsFrom.toISOString() };
}
