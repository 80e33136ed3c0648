import { setTimeout as delay } from 'node:timers/promises';
import { createBatcher } from '../util/batcher.ts';
import { ConflictError, sidecarError, type SidecarRequest, type SidecarResponse } from './sidecar-call.ts';
import {
  isConflict,
  isGuarded,
  JSON_HEADERS,
  STORE,
  toRequest,
  toTransaction,
  type GuardedWrite,
  type StateOperation,
} from './state-operations.ts';

export type { StateOperation } from './state-operations.ts';

/** A document and the ETag of the loaded version. */
export interface StateEntry<T> {
  value: T;
  etag: string;
}

/**
 * This service's state: JSON documents by key, every write guarded by its ETag
 * (services/decisions/0124-first-write-wins.md).
 */
export interface StateStore {
  get: <T>(key: string) => Promise<StateEntry<T> | undefined>;
  /**
   * Loads several documents, not as a snapshot. The map omits documents that do not exist.
   *
   * @param options.oneExists saves a call per missing document, if the caller expects that at least one of them exists
   */
  getMany: <T>(
    keys: readonly string[],
    options?: { oneExists?: boolean },
  ) => Promise<Map<string, StateEntry<T>>>;
  /**
   * Saves all documents or none.
   *
   * @throws ConflictError if a document does not have the expected version, or an amended one changes all the time
   */
  write: (...writes: StateOperation[]) => Promise<void>;
}

/** Dapr's state API. Concurrent reads share a call, and so do concurrent writes (services/decisions/0129-batched-calls.md). */
export function createStateStore(request: (call: SidecarRequest) => Promise<SidecarResponse>): StateStore {
  const read = createBatcher<string, StateEntry<unknown> | undefined>(async (keys) => {
    const [key] = keys;
    if (keys.length === 1 && key !== undefined) return [await readOne(key)];
    const found = await readMany([...new Set(keys)]);
    return keys.map((one) => found.get(one));
  });

  const commit = createBatcher((groups: StateOperation[][]) => writeGroups(groups));

  /** Saves groups of writes, each of which may fail alone. After a conflict, a read finds the losers, and the others are saved. */
  async function writeGroups(groups: StateOperation[][], tries = MAX_AMEND_TRIES): Promise<Outcome[]> {
    const { transaction, refusals } = await amend(groups);
    if (refusals.some((refusal) => refusal)) return withoutThese(groups, refusals, tries);
    const guarded = groups.map((group) => group.filter(isGuarded));
    const keys = guarded.flat().map(({ key }) => key);
    const isAmended = groups.some((group) => !group.every(isGuarded));
    // Two guarded writes to one document must not be in one transaction, because one of them has lost.
    const keysAreDistinct = new Set(keys).size === keys.length;
    const conflict =
      keysAreDistinct || groups.length === 1 ? await catchConflict(writeAll(transaction)) : CONFLICT;
    if (!conflict) return groups.map(() => undefined);
    if (groups.length === 1 && !isAmended) return [conflict];

    // If this read misses a document, its writer gets a conflict, and loads the document again.
    const now = keys.length > 0 ? await readBulk([...new Set(keys)]) : new Map<string, StateEntry<unknown>>();
    const claimedKeys = new Set<string>();
    const losses = guarded.map((group): Outcome => {
      const lost = group.some(({ key, etag }) => claimedKeys.has(key) || now.get(key)?.etag !== etag);
      if (!lost) for (const { key } of group) claimedKeys.add(key);
      return lost ? CONFLICT : undefined;
    });
    if (losses.some((loss) => loss)) return withoutThese(groups, losses, tries);
    if (isAmended) {
      // Another writer changed the amended document first.
      if (tries <= 1) return groups.map(() => conflict);
      await delay(Math.random() * 10 * (MAX_AMEND_TRIES + 1 - tries));
      return writeGroups(groups, tries - 1);
    }
    // The store had another reason to refuse. Then each group is saved alone.
    return (await Promise.all(groups.map(async (group) => writeGroups([group])))).flat();
  }

  /** Saves the groups that have no outcome yet. */
  async function withoutThese(
    groups: StateOperation[][],
    outcomes: readonly Outcome[],
    tries: number,
  ): Promise<Outcome[]> {
    const rest = groups.filter((_, position) => !outcomes[position]);
    const saved = rest.length > 0 ? await writeGroups(rest, tries) : [];
    return outcomes.map((outcome) => outcome ?? saved.shift());
  }

  /** Applies the amendments to the stored versions, or to the version that a write of the same transaction puts. */
  async function amend(
    groups: readonly StateOperation[][],
  ): Promise<{ transaction: GuardedWrite[]; refusals: Outcome[] }> {
    const writes = groups.flat().filter(isGuarded);
    const amendedKeys = new Set(groups.flat().flatMap(({ op, key }) => (op === 'amend' ? [key] : [])));
    const versions = new Map<string, Extract<GuardedWrite, { op: 'put' }>>();
    await Promise.all(
      Array.from(amendedKeys, async (key) => {
        const put = writes.find((write) => write.op === 'put' && write.key === key);
        if (put?.op === 'put') return versions.set(key, put);
        const stored = await read(key);
        return versions.set(key, { op: 'put', key, value: stored?.value, etag: stored?.etag });
      }),
    );
    const refusals = groups.map((group): Outcome => {
      try {
        for (const write of group) {
          const version = write.op === 'amend' ? versions.get(write.key) : undefined;
          if (write.op === 'amend' && version)
            versions.set(write.key, { ...version, value: write.change(version.value) });
        }
        return undefined;
      } catch (error) {
        return { error };
      }
    });
    return {
      transaction: [...writes.filter(({ key }) => !amendedKeys.has(key)), ...versions.values()],
      refusals,
    };
  }

  async function readOne(key: string): Promise<StateEntry<unknown> | undefined> {
    const response = await request({ method: 'GET', path: `${STORE}/${encodeURIComponent(key)}` });
    if (response.status === 204) return undefined;
    if (response.status !== 200) throw sidecarError('read state', response);
    return { value: JSON.parse(response.body.toString()), etag: String(response.headers['etag']) };
  }

  /**
   * Loads several documents. Documents that the bulk read omits are loaded one by one, because daprd 1.18 answers a bulk read
   * without documents if its connection to PostgreSQL breaks. With `oneExists`, a found document proves that it did not break.
   */
  async function readMany(
    keys: readonly string[],
    { oneExists = false } = {},
  ): Promise<Map<string, StateEntry<unknown>>> {
    const found = await readBulk(keys);
    if (oneExists && found.size > 0) return found;
    await Promise.all(
      keys.map(async (key) => {
        const alone = found.has(key) ? undefined : await readOne(key);
        if (alone) found.set(key, alone);
      }),
    );
    return found;
  }

  async function readBulk(keys: readonly string[]): Promise<Map<string, StateEntry<unknown>>> {
    const response = await request({
      method: 'POST',
      path: `${STORE}/bulk`,
      headers: JSON_HEADERS,
      body: JSON.stringify({ keys, parallelism: 10 }),
    });
    if (response.status === 204) return new Map();
    if (response.status !== 200) throw sidecarError('read state', response);
    const rows = JSON.parse(response.body.toString()) as BulkRow[];
    // A row with an error must not count as a document that does not exist.
    if (rows.some((row) => row.error)) throw sidecarError('read state', { ...response, status: 500 });
    return new Map(
      rows.flatMap(({ key, data, etag }): [string, StateEntry<unknown>][] =>
        data === undefined || data === null || !etag ? [] : [[key, { value: data, etag }]],
      ),
    );
  }

  async function writeAll(writes: readonly GuardedWrite[]): Promise<void> {
    const [first] = writes;
    if (!first) return;
    const response = await request(writes.length === 1 ? toRequest(first) : toTransaction(writes));
    if (response.status < 300) return;
    if (isConflict(response)) throw new ConflictError(`another writer saved ${first.key} first`);
    throw sidecarError('write state', response);
  }

  return {
    get: async <T>(key: string) => (await read(key)) as StateEntry<T> | undefined,
    getMany: async <T>(keys: readonly string[], options?: { oneExists?: boolean }) =>
      (keys.length === 0 ? new Map() : await readMany(keys, options)) as Map<string, StateEntry<T>>,
    async write(...writes) {
      const outcome = await commit(writes);
      if (outcome) throw outcome.error;
    },
  };
}

/** The result of a write: undefined for success, or the error. */
type Outcome = { error: unknown } | undefined;

const CONFLICT = { error: new ConflictError('another writer saved the document first') };

/** How often an amendment is applied to the next version, if others change the document at the same time. */
const MAX_AMEND_TRIES = 10;

async function catchConflict(writing: Promise<void>): Promise<Outcome> {
  return writing.then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof ConflictError) return { error };
      throw error;
    },
  );
}

interface BulkRow {
  key: string;
  data?: unknown;
  etag?: string;
  error?: string;
}

/**
 * Repeats `attempt` (load, decide, save) after a conflict, with growing random pauses.
 *
 * @throws ConflictError after the last attempt
 */
export async function retryOnConflict<T>(attempt: () => Promise<T>, tries = 10): Promise<T> {
  for (let left = tries - 1; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof ConflictError) || left <= 0) throw error;
      await delay(Math.random() * 10 * (tries - left));
    }
  }
}
