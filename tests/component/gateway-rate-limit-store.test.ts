import { describe, expect, it } from 'vitest';
import { createRateLimitStore, type Usage } from '../../services/gateway/limits/rate-limit-store.ts';
import type { SharedCounters } from '../../services/gateway/limits/shared-counters.ts';
import { allowsOneMore, type Counts } from '../../services/gateway/limits/sliding-window.ts';
import { createPrng } from '../faults/prng.ts';

const LENGTH_MS = 60_000;
const NOW = 600_000;

/** Counters as Redis has them. Each answer waits until the test lets it through. */
function createFakeCounters() {
  const hits = new Map<string, number>();
  const answers: (() => void)[] = [];
  let isAvailable = true;
  let calls = 0;

  async function answerLater<Reply>(reply: Reply): Promise<Reply> {
    await new Promise<void>((resolve) => void answers.push(resolve));
    return reply;
  }
  function countsOf(key: string, number: number): Counts {
    const of = (one: number) => hits.get(`${key}:${one}`) ?? 0;
    return { current: of(number), previous: of(number - 1) };
  }
  function add({ key, number, hits: more }: Parameters<SharedCounters['add']>[0]): Counts {
    hits.set(`${key}:${number}`, (hits.get(`${key}:${number}`) ?? 0) + more);
    return countsOf(key, number);
  }

  const counters: SharedCounters = {
    async add(report) {
      calls += 1;
      return isAvailable ? answerLater(add(report)) : undefined;
    },
    async take(report, now, window) {
      calls += 1;
      if (!isAvailable) return undefined;
      const counts = add(report);
      const allowed = allowsOneMore(counts, now, window);
      return answerLater({ ...(allowed ? add({ ...report, hits: 1 }) : counts), allowed });
    },
    close: async () => {},
  };
  return {
    counters,
    hits,
    calls: () => calls,
    setAvailable: (value: boolean) => (isAvailable = value),
    /** Lets the oldest answer through. */
    answerNext: () => answers.shift()?.(),
    answerAll: () => {
      for (const answer of answers.splice(0)) answer();
    },
  };
}

const settle = () => new Promise((resolve) => void setImmediate(resolve));

describe('the store of rate limits', () => {
  it('When a caller is far below the limit, then no request waits for the shared counters', async () => {
    const shared = createFakeCounters();
    const store = createRateLimitStore(shared.counters, 100);
    for (let count = 0; count < 50; count++)
      expect((await store.consume('a', NOW, { limit: 1_000, lengthMs: LENGTH_MS })).allowed).toBe(true);
    expect(shared.calls()).toBe(0);
    await store.close();
  });

  it('When another replica has used the limit, then this one learns it with its first report', async () => {
    const shared = createFakeCounters();
    const window = { limit: 100, lengthMs: LENGTH_MS };
    shared.hits.set('a:10', 100);
    const store = createRateLimitStore(shared.counters, 100);
    const pending: Promise<Usage>[] = [];
    for (let count = 0; count < 20; count++) pending.push(store.consume('a', NOW, window));
    await settle();
    shared.answerAll();
    const allowed = (await Promise.all(pending)).filter((usage) => usage.allowed);
    expect(allowed).toHaveLength(5);
    expect((await store.consume('a', NOW, window)).allowed).toBe(false);
    await store.close();
  });

  it('When the limit is low, then the replicas together allow exactly so many', async () => {
    const shared = createFakeCounters();
    const window = { limit: 10, lengthMs: LENGTH_MS };
    const stores = [0, 1, 2].map(() => createRateLimitStore(shared.counters, 100));
    const pending = Array.from({ length: 14 }, () => stores.map((store) => store.consume('a', NOW, window)));
    await settle();
    shared.answerAll();
    const usages = await Promise.all(pending.flat());
    expect(usages.filter((usage) => usage.allowed)).toHaveLength(10);
    await Promise.all(stores.map((store) => store.close()));
  });

  it.each(Array.from({ length: 20 }, (_, seed) => seed))(
    'When replicas and answers interleave (seed %d), then each replica exceeds the limit by a twentieth at most',
    async (seed) => {
      const prng = createPrng(String(seed));
      const shared = createFakeCounters();
      const window = { limit: 200, lengthMs: LENGTH_MS };
      const replicas = 1 + (seed % 4);
      const stores = Array.from({ length: replicas }, () => createRateLimitStore(shared.counters, 100));
      const pending: Promise<Usage>[] = [];
      for (let count = 0; count < 2_000; count++) {
        pending.push(prng.pick(stores).consume('a', NOW, window));
        if (prng.happens(0.2)) shared.answerNext();
        if (prng.happens(0.2)) await settle();
      }
      for (let count = 0; count < 50; count++) {
        shared.answerAll();
        await settle();
      }
      const allowed = (await Promise.all(pending)).filter((usage) => usage.allowed).length;
      expect(allowed).toBeGreaterThanOrEqual(window.limit);
      expect(allowed).toBeLessThanOrEqual(window.limit + (replicas * window.limit) / 20);
      await Promise.all(stores.map((store) => store.close()));
    },
  );

  it('When the shared counters were unavailable, then the hits of that time are reported afterwards', async () => {
    const shared = createFakeCounters();
    const window = { limit: 10, lengthMs: LENGTH_MS };
    const store = createRateLimitStore(shared.counters, 100);
    shared.setAvailable(false);
    for (let count = 0; count < 4; count++)
      expect((await store.consume('a', NOW, window)).allowed).toBe(true);
    shared.setAvailable(true);
    const usage = store.consume('a', NOW, window);
    await settle();
    shared.answerAll();
    expect(await usage).toEqual({ current: 5, previous: 0, allowed: true });
    expect(shared.hits.get('a:10')).toBe(5);
    await store.close();
  });

  it('When a window follows, then the counters of all replicas in the previous one still count', async () => {
    const shared = createFakeCounters();
    const window = { limit: 10, lengthMs: LENGTH_MS };
    shared.hits.set('a:10', 10);
    const store = createRateLimitStore(shared.counters, 100);
    const usage = store.consume('a', NOW + LENGTH_MS, window);
    await settle();
    shared.answerAll();
    expect(await usage).toEqual({ current: 0, previous: 10, allowed: false });
    await store.close();
  });
});
