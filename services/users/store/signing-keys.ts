import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import type { Logger } from '../../shared/telemetry/logger.ts';
import { retryOnConflict, type StateStore } from '../../shared/dapr/state-store.ts';
import { createCache } from '../../shared/util/cached.ts';
import { TOKEN_ALGORITHM } from '../contract.ts';
import {
  isNewKeyDue,
  KEY_CACHE_SECONDS,
  PUBLISH_LEAD_SECONDS,
  withoutRetired,
  type SigningKey,
} from '../domain/signing-key.ts';

/** The keys, newest last. The list is never empty. */
export type SigningKeys = () => Promise<readonly SigningKey[]>;

const KEYS = 'signing-keys';
/** The pause between two attempts to load the keys. */
const RETRY_DELAY_MS = 1_000;

/**
 * The private keys, which all replicas share. A replica that finds the newest key too old adds the next one, so the
 * rotation needs no job.
 *
 * @param deps.clock monotonic milliseconds
 * @param deps.rotationSeconds how long a key signs
 */
export function createSigningKeys(deps: {
  state: StateStore;
  log: Logger;
  now: () => Date;
  clock: () => number;
  rotationSeconds: number;
  tokenTtlSeconds: number;
}): SigningKeys {
  const { state, log, now, clock, rotationSeconds, tokenTtlSeconds } = deps;
  const cache = createCache(load, clock);

  const rotateIfDue = () =>
    retryOnConflict(async () => {
      const stored = await state.get<SigningKey[]>(KEYS);
      const before = stored?.value ?? [];
      const time = now();
      const kept = withoutRetired(before, time, tokenTtlSeconds);
      const isDue = isNewKeyDue(kept, time, rotationSeconds);
      if (!isDue && kept.length === before.length) return before;
      const next = isDue
        ? [...kept, await newKey(kept.length === 0 ? time : later(time, PUBLISH_LEAD_SECONDS))]
        : kept;
      await state.write({ op: 'put', key: KEYS, value: next, etag: stored?.etag });
      if (isDue) log.info({ kid: next.at(-1)?.jwk.kid }, 'signing key created');
      return next;
    });

  async function load(): Promise<readonly SigningKey[]> {
    try {
      return await rotateIfDue();
    } catch (err) {
      if (cache.value()) log.warn({ err }, 'reading signing keys failed; using cached keys');
      throw err;
    }
  }

  return async () => {
    const known = cache.value();
    if (!known) return cache.refresh();
    const isFresh = cache.ageMs() < KEY_CACHE_SECONDS * 1000 || cache.failureAgeMs() < RETRY_DELAY_MS;
    return isFresh ? known : cache.refresh().catch(() => known);
  };
}

const later = (time: Date, seconds: number) => new Date(time.getTime() + seconds * 1000);

async function newKey(signsFrom: Date): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(TOKEN_ALGORITHM, { extractable: true });
  const kid = await calculateJwkThumbprint(await exportJWK(publicKey));
  const jwk = { ...(await exportJWK(privateKey)), kid, alg: TOKEN_ALGORITHM, use: 'sig' };
  return { jwk, signs_from: signsFrom.toISOString() };
}
