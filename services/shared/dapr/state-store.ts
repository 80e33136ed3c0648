import { setTimeout as delay } from 'node:timers/promises';
import { createBatcher } from '../util/batcher.ts';
import { ConflictError, sidecarError, type SidecarRequest, type SidecarResponse } from './sidecar-call.ts';

/** A document and the ETag of the loaded version. */
export interface StateEntry<T> {
  value: T;
  etag: string;
}

/** A write. With `etag`, the document must have that version. Without `etag`, the document must not exist. */
export type StateOperation =
  | {
      op: 'put';
      key: string;
      value: unknown;
      etag?: string | undefined;
      /** The document expires after this time: https://docs.dapr.io/developing-applications/building-blocks/state-management/state-store-ttl/. */
      ttlSeconds?: number | undefined;
    }
  | { op: 'delete'; key: string; etag: string };

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
  /** Saves all documents or none. @throws ConflictError if a document does not have the expected version */
  write: (...writes: StateOperation[]) => Promise<void>;
}

const JSON_HEADERS = { 'content-type': 'application/json' };
const STORE = '/v1.0/state/statestore';

/** Dapr's state API. Concurrent reads share a call, and so do concurrent writes (services/decisions/0129-batched-calls.md). */
export function createStateStore(request: (call: SidecarRequest) => Promise<SidecarResponse>): StateStore {
  const read = createBatcher<string, StateEntry<unknown> | undefined>(async (keys) => {
    const [key] = keys;
    if (keys.length === 1 && key !== undefined) return [await readOne(key)];
    const found = await readMany([...new Set(keys)]);
    return keys.map((one) => found.get(one));
  });

  const commit = createBatcher(writeGroups);

  /** Saves groups of writes, each of which may fail alone. After a conflict, a read finds the losers, and the others are saved. */
  async function writeGroups(groups: StateOperation[][]): Promise<Outcome[]> {
    const writes = groups.flat();
    const keys = [...new Set(writes.map(({ key }) => key))];
    // Two writes to one document must not be in one transaction, because one of them has lost.
    const keysAreDistinct = keys.length === writes.length;
    const conflict =
      keysAreDistinct || groups.length === 1 ? await catchConflict(writeAll(writes)) : CONFLICT;
    if (!conflict) return groups.map(() => undefined);
    if (groups.length === 1) return [conflict];

    // If this read misses a document, its writer gets a conflict, and loads the document again.
    const now = await readBulk(keys);
    const claimedKeys = new Set<string>();
    const conflicts = groups.map((group) => {
      const lost = group.some(({ key, etag }) => claimedKeys.has(key) || now.get(key)?.etag !== etag);
      if (!lost) for (const { key } of group) claimedKeys.add(key);
      return lost;
    });
    // Without a loser, the store had another reason to refuse. Then each group is saved alone.
    const parts = conflicts.includes(true)
      ? [groups.filter((_, position) => !conflicts[position])]
      : groups.map((group) => [group]);
    const outcomes = (await Promise.all(parts.map(writeGroups))).flat();
    return conflicts.map((lost) => (lost ? CONFLICT : outcomes.shift()));
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

  async function writeAll(writes: readonly StateOperation[]): Promise<void> {
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
      if (outcome) throw outcome.conflict;
    },
  };
}

/** The result of a write: undefined for success, or the conflict. */
type Outcome = { conflict: ConflictError } | undefined;

const CONFLICT = { conflict: new ConflictError('another writer saved the document first') };

async function catchConflict(writing: Promise<void>): Promise<Outcome> {
  return writing.then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof ConflictError) return { conflict: error };
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

function toRequest(write: StateOperation): SidecarRequest {
  if (write.op === 'put')
    return { method: 'POST', path: STORE, headers: JSON_HEADERS, body: JSON.stringify([toOperation(write)]) };
  return {
    method: 'DELETE',
    path: `${STORE}/${encodeURIComponent(write.key)}?concurrency=first-write`,
    headers: { 'if-match': write.etag },
  };
}

function toTransaction(writes: readonly StateOperation[]): SidecarRequest {
  const operations = writes.map((write) => ({
    operation: write.op === 'put' ? 'upsert' : 'delete',
    request: toOperation(write),
  }));
  return {
    method: 'POST',
    path: `${STORE}/transaction`,
    headers: JSON_HEADERS,
    body: JSON.stringify({ operations }),
  };
}

function toOperation(write: StateOperation): Record<string, unknown> {
  return {
    key: write.key,
    ...(write.op === 'put' ? { value: write.value } : {}),
    ...(write.op === 'put' && write.ttlSeconds
      ? { metadata: { ttlInSeconds: String(write.ttlSeconds) } }
      : {}),
    // guard: send the ETag of a write
    ...(write.etag ? { etag: write.etag } : {}),
    // guard: first write wins
    options: { concurrency: 'first-write' },
  };
}

/**
 * Whether a response reports a conflict. A single write answers 409. A transaction answers 500, and so does PostgreSQL for an
 * existing document; then only the text shows the conflict.
 */
function isConflict(response: SidecarResponse): boolean {
  const lost = /etag|no item was updated/i;
  return response.status === 409 || (response.status === 500 && lost.test(response.body.toString()));
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
