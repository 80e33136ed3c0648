import { LRUCache } from 'lru-cache';
import type { StateEntry, StateOperation, StateStore } from './state-store.ts';
import { ConflictError } from './sidecar-call.ts';

/** A state store that remembers what it read. */
export interface RecallingStore extends StateStore {
  /**
   * The version of a document that this process read last, unless this process has written the document since. It may be
   * outdated. So a decision on it counts only if it saves the document: the ETag refuses a decision on an old version. Any other
   * decision must be made again on a version that is read (services/decisions/0136-decisions-without-a-read.md).
   */
  recall: <T>(key: string) => StateEntry<T> | undefined;
}

const MAX_REMEMBERED = 1_000;
/** How long a document that another replica writes, too, is not recalled. */
const CONTENDED_MS = 10_000;

/** After a write the new ETag is unknown: the stores of both profiles choose it at random. So a written document is forgotten. */
export function createRecallingStore(state: StateStore): RecallingStore {
  const remembered = new LRUCache<string, StateEntry<unknown>>({ max: MAX_REMEMBERED });
  const contended = new LRUCache<string, true>({ max: MAX_REMEMBERED, ttl: CONTENDED_MS });

  function remember(key: string, entry: StateEntry<unknown>): void {
    if (!contended.has(key)) remembered.set(key, entry);
  }

  function forget(writes: readonly StateOperation[]): void {
    for (const { key } of writes) remembered.delete(key);
  }

  return {
    recall: <T>(key: string) => remembered.get(key) as StateEntry<T> | undefined,
    async get<T>(key: string) {
      const entry = await state.get<T>(key);
      if (entry) remember(key, entry);
      return entry;
    },
    async getMany<T>(...asked: Parameters<StateStore['getMany']>) {
      const entries = await state.getMany<T>(...asked);
      for (const [key, entry] of entries) remember(key, entry);
      return entries;
    },
    async write(...writes) {
      const known = writes.filter(({ key }) => remembered.has(key));
      forget(writes);
      try {
        await state.write(...writes);
      } catch (error) {
        if (error instanceof ConflictError) for (const { key } of known) contended.set(key, true);
        throw error;
      } finally {
        // A read may have ended meanwhile.
        forget(writes);
      }
    },
  };
}
