import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../telemetry/logger.ts';
import { requestIdFrom, runInRequest } from '../telemetry/request-context.ts';
import { createEntryAges, type Age } from './entry-ages.ts';
import { retryOnConflict, type StateOperation, type StateStore } from './state-store.ts';
import type { Shard, WorkEntry, WorkList } from './work-list.ts';

/** The entries of one page are looked at together, so that their reads, writes and events share calls. */
const PAGE_SIZE = 64;
/** A sweep begins no page after this time. The rest is left to the next sweep. */
const MAX_SWEEP_MS = 4_000;
/** A look that takes longer counts as failed. */
const MAX_LOOK_MS = 10_000;
/** The longest pause after failed looks, which grows from the interval of the sweeps. */
const MAX_PAUSE_MS = 30_000;

interface DueEntry {
  key: string;
  id: string;
  entry: WorkEntry;
  age: Age;
}

export interface SweepDeps {
  list: WorkList;
  state: StateStore;
  log: Logger;
  /** The interval of the sweeps. */
  everyMs: number;
  /**
   * Looks at a document. It may run twice, on two replicas at once, and a moment too early.
   *
   * @param ageMs the age of the entry, never too high
   * @returns the time until the next look, in milliseconds; undefined if the entry is done
   */
  look: (id: string, ageMs: number) => Promise<number | undefined>;
  /** The writes that belong in the transaction that removes the entries of these ids. */
  settle?: (ids: readonly string[]) => Promise<StateOperation[]>;
  now: () => Date;
  /** Monotonic milliseconds. The default is `performance.now()`. */
  clock?: () => number;
}

/**
 * Creates the function that looks at the entries of a work list that are due, and then removes or postpones them. A crash at any time
 * leaves entries that the next sweep finds. The result says how long the latest entry was due, in milliseconds.
 */
export function createSweep(deps: SweepDeps): () => Promise<number> {
  const { list, state, log, everyMs, settle = async () => [], now } = deps;
  const { clock = () => performance.now() } = deps;
  const agesOf = createEntryAges(clock, () => now().getTime());

  /** The entries that are due, latest first. */
  async function findDue(): Promise<DueEntry[]> {
    const found = Array.from(await list.load(), ([key, { value }]) =>
      Object.entries(value).map(([id, entry]) => ({ key, id, entry, name: `${key} ${id} ${entry.added}` })),
    ).flat();
    const ages = agesOf(found.map(({ name, entry }) => [name, entry]));
    return found
      .flatMap(({ name, ...one }): DueEntry[] => {
        const age = ages.get(name);
        return age ? [{ ...one, age }] : [];
      })
      .filter((one) => lateness(one) >= 0)
      .toSorted((a, b) => lateness(b) - lateness(a));
  }

  async function lookAt({ id, entry, age }: DueEntry, limit: Promise<never>): Promise<Wait> {
    const { traceparent } = entry;
    const headers = traceparent === undefined ? {} : { traceparent };
    return runInRequest(headers, { request_id: requestIdFrom(undefined) }, async () => {
      try {
        return { ms: await Promise.race([deps.look(id, age.provenMs), limit]), failures: 0 };
      } catch (err) {
        const failures = (entry.failures ?? 0) + 1;
        log.warn({ err, id, failures }, 'a look failed; the sweep will retry');
        return { ms: Math.min(everyMs * 2 ** (failures - 1), MAX_PAUSE_MS), failures };
      }
    });
  }

  /** Removes and postpones entries, unless another replica has looked at them, too. */
  async function save(looks: readonly (DueEntry & { wait: Wait | undefined })[]): Promise<void> {
    await retryOnConflict(async () => {
      const shards = await state.getMany<Shard>([...new Set(looks.map(({ key }) => key))]);
      const done: string[] = [];
      const writes = Array.from(shards, ([key, { value, etag }]): StateOperation => {
        const next: Record<string, WorkEntry> = { ...value };
        for (const { id, entry, age, wait } of looks.filter((one) => one.key === key)) {
          if (!wait || !isSame(value[id], entry)) continue;
          if (wait.ms === undefined) {
            delete next[id];
            done.push(id);
          } else next[id] = postponed(entry, age, wait.ms, wait.failures);
        }
        return { op: 'put', key, value: next, etag };
      });
      await state.write(...writes, ...(done.length > 0 ? await settle(done) : []));
    });
  }

  function postponed(entry: WorkEntry, { provenMs }: Age, ms: number, failures: number): WorkEntry {
    const { failures: _, ...rest } = entry;
    return {
      ...rest,
      looked: { at: now().getTime(), age_ms: provenMs },
      due_ms: Math.round(provenMs + ms),
      ...(failures > 0 ? { failures } : {}),
    };
  }

  return async () => {
    const until = clock() + MAX_SWEEP_MS;
    const due = await findDue();
    const [latest] = due;
    while (due.length > 0 && clock() < until) {
      const page = due.splice(0, PAGE_SIZE);
      const limit = rejectAfter(MAX_LOOK_MS);
      const waits = await Promise.all(page.map((one) => lookAt(one, limit)));
      await save(page.map((one, position) => ({ ...one, wait: waits[position] })));
    }
    return latest ? lateness(latest) : 0;
  };
}

/** How long an entry waits for its next look; without `ms`, it is done. */
interface Wait {
  ms: number | undefined;
  failures: number;
}

const lateness = ({ entry, age }: DueEntry) => age.likelyMs - entry.due_ms;

const isSame = (a: WorkEntry | undefined, b: WorkEntry) =>
  a?.added === b.added && a.due_ms === b.due_ms && a.looked?.at === b.looked?.at;

async function rejectAfter(ms: number): Promise<never> {
  await delay(ms, undefined, { ref: false });
  throw new Error(`it took more than ${ms} ms`);
}
