import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import type { Logger } from '../../shared/telemetry/logger.ts';
import { retryOnConflict, type StateStore } from '../../shared/dapr/state-store.ts';
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
/** The pause between two attempts to load the keys. Milliseconds. */
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
  let known: readonly SigningKey[] | undefined;
  let knownUntil = -Infinity;
  let reading: Promise<readonly SigningKey[]> | undefined;

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

  async function read(): Promise<readonly SigningKey[]> {
    try {
      known = await rotateIfDue();
      knownUntil = clock() + KEY_CACHE_SECONDS * 1000;
    } catch (err) {
      if (!known) throw err;
      log.warn({ err }, 'reading signing keys failed; using cached keys');
      knownUntil = clock() + RETRY_DELAY_MS;
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
