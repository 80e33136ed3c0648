import { sampledTraceparent } from '../telemetry/request-context.ts';
import { QueueFullError } from '../util/batcher.ts';
import type { StateEntry, StateOperation, StateStore } from './state-store.ts';

/**
 * What a service has to look at later: ids of its documents, each with the time of the next look
 * (services/decisions/0133-work-list.md).
 */
export interface WorkList {
  /**
   * The write that adds an entry. It belongs in the transaction that saves the document, so that no document is unwatched. An id that
   * is added again gets another entry.
   *
   * @param waitMs how long the entry waits for its first look
   * @throws QueueFullError when it is written, if the list is full
   */
  add: (id: string, waitMs: number) => StateOperation;
  /** The whole list, by the keys of its documents. */
  load: () => Promise<Map<string, StateEntry<Shard>>>;
  /** Up to `limit` ids after `after`, in their order. */
  ids: (after: string, limit: number) => Promise<string[]>;
}

/** The entries of one document, by the id that they are for. */
export type Shard = Readonly<Record<string, WorkEntry>>;

export interface WorkEntry {
  /** When the entry was added, in milliseconds by the clock of the writer. It never changes. */
  added: number;
  /** The age of the entry at which it is due. */
  due_ms: number;
  /** The last look: its time by the clock of the sweeper, and the age of the entry at that time. */
  looked?: { at: number; age_ms: number };
  /** The failed looks since the last one that succeeded. */
  failures?: number;
  /** The trace in which the entry was added, if it is sampled. Looks continue it. */
  traceparent?: string;
}

const SHARDS = 16;
/** Beyond it, a document would be too large for one write. The list has room for 32,000 entries. */
const MAX_SHARD_LENGTH = 2_000;
/** The entries that a process adds to one shard before it takes another one. Entries of one transaction share a shard. */
const RUN_LENGTH = 32;

const SHARD_KEYS = Array.from({ length: SHARDS }, (_, shard) => `worklist:${shard}`);

/** @param now the wall clock */
export function createWorkList(state: StateStore, now: () => Date): WorkList {
  let key = '';
  let left = 0;

  /** The shard to add to. Replicas choose at random, so they seldom write to the same one. */
  function shardKey(): string {
    if (left === 0) [key, left] = [SHARD_KEYS[Math.floor(Math.random() * SHARDS)] ?? '', RUN_LENGTH];
    left -= 1;
    return key;
  }

  async function load(): Promise<Map<string, StateEntry<Shard>>> {
    const shards = await state.getMany<Shard>(SHARD_KEYS);
    // The store looks for each missing document once more. So all of them exist after the first sweep.
    const missing = SHARD_KEYS.filter((shard) => !shards.has(shard));
    if (missing.length > 0) await state.write(...missing.map((shard) => amend(shard, (before) => before)));
    return shards;
  }

  return {
    add(id, waitMs) {
      const traceparent = sampledTraceparent();
      const time = now().getTime();
      return amend(shardKey(), (before) => {
        if (Object.keys(before).length >= MAX_SHARD_LENGTH) throw new QueueFullError();
        // Never the time of an entry that is there, so that its sweep does not remove this one.
        const added = before[id]?.added === time ? time + 1 : time;
        return { ...before, [id]: { added, due_ms: waitMs, ...(traceparent ? { traceparent } : {}) } };
      });
    },
    load,
    async ids(after, limit) {
      const shards = [...(await load()).values()];
      const ids = new Set(shards.flatMap(({ value }) => Object.keys(value)));
      return [...ids]
        .filter((id) => id > after)
        .toSorted()
        .slice(0, limit);
    },
  };
}

function amend(key: string, change: (before: Shard) => Shard): StateOperation {
  return { op: 'amend', key, change: (value) => change((value ?? {}) as Shard) };
}
