import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { SidecarRequest, SidecarResponse } from '../../services/shared/dapr/sidecar-call.ts';
import { createPagedIndex } from '../../services/shared/dapr/paged-index.ts';
import { createStateStore, retryOnConflict } from '../../services/shared/dapr/state-store.ts';
import { createSweep } from '../../services/shared/dapr/sweep.ts';
import { createWorkList, type Shard } from '../../services/shared/dapr/work-list.ts';
import { createLogger } from '../../services/shared/telemetry/logger.ts';

/**
 * Replicas with the real work list, beside a store of documents with ETags. A replica dies at any of its calls, before or after the
 * store has executed it. After each write, the store must have an entry for every document that is not finished.
 */
interface Doc {
  id: string;
  step: number;
}

const LAST_STEP = 2;
const HOUR_MS = 3_600_000;
const log = createLogger('model', 'silent');

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Operation {
  operation?: 'upsert' | 'delete';
  request: { key: string; value?: unknown; etag?: string };
}

function createWorld(seed: number) {
  const random = randomFrom(seed);
  const documents = new Map<string, { value: unknown; etag: string }>();
  const published = new Set<string>();
  let etags = 0;
  let timeMs = 0;

  const valuesOf = <T>(prefix: string) =>
    [...documents].flatMap(([key, { value }]) => (key.startsWith(prefix) ? [value as T] : []));
  const watched = () => new Set(valuesOf<Shard>('worklist:').flatMap(Object.keys));
  const finished = () => valuesOf<string[]>('index:finished:').flat();

  function assertNothingIsUnwatched(): void {
    const [entries, ended] = [watched(), new Set(finished())];
    for (const { id, step } of valuesOf<Doc>('doc:')) {
      if (!entries.has(id) && !ended.has(id)) throw new Error(`${id} is unwatched`);
      if (ended.has(id) && !(step === LAST_STEP && published.has(`${id}:${LAST_STEP}`)))
        throw new Error(`${id} left the list too early`);
    }
  }

  function commit(operations: readonly Operation[]): SidecarResponse {
    const isCurrent = ({ request: { key, etag } }: Operation) => documents.get(key)?.etag === etag;
    if (!operations.every(isCurrent)) return answer(409, { errorCode: 'etag' });
    for (const { request } of operations)
      documents.set(request.key, { value: structuredClone(request.value), etag: String(++etags) });
    assertNothingIsUnwatched();
    return answer(204);
  }

  function execute({ method, path, body }: SidecarRequest): SidecarResponse {
    const sent: unknown = body === undefined ? undefined : JSON.parse(String(body));
    if (path.endsWith('/transaction')) return commit((sent as { operations: Operation[] }).operations);
    if (path.endsWith('/bulk')) {
      const rows = (sent as { keys: string[] }).keys.map((key) => {
        const found = documents.get(key);
        return found ? { key, data: found.value, etag: found.etag } : { key };
      });
      return answer(200, rows);
    }
    if (method === 'POST') return commit((sent as Operation['request'][]).map((request) => ({ request })));
    const found = documents.get(decodeURIComponent(path.split('/').at(-1) ?? ''));
    return found ? answer(200, found.value, found.etag) : answer(204);
  }

  /** @param crash the call at which the replica dies, and whether the store executes this call */
  function createReplica(skewMs: number, crash?: { at: number; isExecuted: boolean }) {
    let calls = 0;
    let die = (): void => {};
    const died = new Promise<void>((resolve) => void (die = resolve));
    const never = new Promise<never>(() => {});

    async function call<T>(run: () => T): Promise<T> {
      calls += 1;
      const number = calls;
      for (let turns = Math.floor(random() * 4); turns > 0; turns--) await new Promise(setImmediate);
      if (crash && number >= crash.at) {
        if (number === crash.at && crash.isExecuted) run();
        die();
        return never;
      }
      const result = run();
      await new Promise(setImmediate);
      return result;
    }

    const state = createStateStore((request) => call(() => execute(request)));
    const now = () => new Date(timeMs + skewMs);
    const list = createWorkList(state, now);
    const index = createPagedIndex(state, 'finished');
    const publish = ({ id, step }: Doc) => call(() => void published.add(`${id}:${step}`));

    async function advance(id: string): Promise<Doc | undefined> {
      return retryOnConflict(async () => {
        const stored = await state.get<Doc>(`doc:${id}`);
        if (!stored || stored.value.step === LAST_STEP) return stored?.value;
        const value = { id, step: stored.value.step + 1 };
        await state.write({ op: 'put', key: `doc:${id}`, value, etag: stored.etag });
        return value;
      });
    }

    const sweep = createSweep({
      list,
      state,
      log,
      everyMs: 1_000,
      async look(id) {
        const doc = await advance(id);
        if (!doc) return undefined;
        await publish(doc);
        return doc.step === LAST_STEP ? undefined : 1_000;
      },
      settle: index.append,
      now,
      clock: () => timeMs,
    });
    /** Work ends with the replica. Returns whether it was completed. */
    const untilDeath = (work: Promise<unknown>) =>
      Promise.race([work.then(() => true), died.then(() => false)]);
    return {
      accept: (id: string) =>
        untilDeath(state.write({ op: 'put', key: `doc:${id}`, value: { id, step: 0 } }, list.add(id, 1_000))),
      receive: (id: string) => untilDeath(advance(id)),
      sweep: () => untilDeath(sweep()),
      calls: () => calls,
    };
  }

  return {
    createReplica,
    pass: (ms: number) => void (timeMs += ms),
    docs: () => valuesOf<Doc>('doc:'),
    watched,
    finished,
  };
}

/** Two replicas accept, advance and sweep at once. Then a third one sweeps alone. Returns the calls of the first replica. */
async function runReplicas(
  seed: number,
  skewMs: number,
  crash?: { at: number; isExecuted: boolean },
): Promise<number> {
  const random = randomFrom(seed + 1);
  // Two shards, so that the replicas collide.
  vi.spyOn(Math, 'random').mockImplementation(() => random() / 8);
  const world = createWorld(seed);
  const replicas = [world.createReplica(skewMs, crash), world.createReplica(0)] as const;
  const ids: string[] = [];
  const accepted: string[] = [];
  for (let round = 0; round < 4; round++) {
    const added = [randomUUID(), randomUUID(), randomUUID()] as const;
    const isAccepted = await Promise.all([
      replicas[0].accept(added[0]),
      replicas[0].accept(added[1]),
      replicas[1].accept(added[2]),
      ...ids.map((id, position) => replicas[position % 2 ? 0 : 1].receive(id)),
      replicas[0].sweep(),
      replicas[1].sweep(),
    ]);
    ids.push(...added);
    accepted.push(...added.filter((_, position) => isAccepted[position]));
    world.pass(1_000);
  }
  const last = world.createReplica(-skewMs);
  for (let sweeps = 0; world.watched().size > 0; sweeps++) {
    if (sweeps > 20) throw new Error(`${world.watched().size} entries stay`);
    await last.sweep();
    world.pass(1_000);
  }
  expect(world.finished().toSorted()).toEqual(
    world
      .docs()
      .map(({ id }) => id)
      .toSorted(),
  );
  expect(world.finished()).toEqual(expect.arrayContaining(accepted));
  return replicas[0].calls();
}

afterEach(() => void vi.restoreAllMocks());

describe('the work list of two replicas', () => {
  it.each([0, HOUR_MS, -HOUR_MS])(
    'When the clocks differ by %d ms and nothing fails, then each document ends once',
    async (skewMs) => {
      for (let seed = 1; seed <= 10; seed++) expect(await runReplicas(seed, skewMs)).toBeGreaterThan(20);
    },
    60_000,
  );

  it.each([
    [1, 0],
    [2, HOUR_MS],
    [3, -HOUR_MS],
  ])(
    'When one dies at any of its calls (seed %d, clocks differ by %d ms), then no document is unwatched, and all end once',
    async (seed, skewMs) => {
      const calls = await runReplicas(seed, skewMs);
      expect(calls).toBeGreaterThan(20);
      for (let at = 1; at <= calls; at++)
        for (const isExecuted of [false, true]) await runReplicas(seed, skewMs, { at, isExecuted });
    },
    60_000,
  );
});

function answer(status: number, body?: unknown, etag?: string): SidecarResponse {
  return {
    status,
    headers: etag === undefined ? {} : { etag },
    body: Buffer.from(body === undefined ? '' : JSON.stringify(body)),
  };
}
