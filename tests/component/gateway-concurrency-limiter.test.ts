import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  createConcurrencyLimiter,
  type ConcurrencyLimiter,
} from '../../services/gateway/limits/concurrency-limiter.ts';
import { OverloadedError } from '../../services/shared/http/problem.ts';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';

const YOUNG = 64;
const ALL = 100;

let limiter: ConcurrencyLimiter;
beforeEach(() => {
  vi.useFakeTimers();
  limiter = createConcurrencyLimiter(createMetrics(), { recentMs: 1_000, maxWaiting: 0 });
});
afterEach(() => vi.useRealTimers());

/** Starts requests that do not end. Throws if one is rejected. */
function begin(count: number): void {
  for (let started = 0; started < count; started++) {
    limiter.assertCapacity();
    void limiter.run(() => new Promise(() => {}));
  }
}

describe('requests in progress', () => {
  it('When sixty-four are recent, then the next one has to wait for the end of one', async () => {
    begin(YOUNG - 1);
    let end = () => {};
    const last = limiter.run(() => new Promise<void>((resolve) => (end = resolve)));
    expect(limiter.assertCapacity).toThrow(OverloadedError);
    await expect(limiter.run(() => Promise.resolve())).rejects.toThrow(OverloadedError);
    end();
    await last;
    expect(limiter.assertCapacity).not.toThrow();
  });

  it('When they have waited for a second, then others may start', () => {
    begin(YOUNG);
    vi.advanceTimersByTime(999);
    expect(limiter.assertCapacity).toThrow(OverloadedError);
    vi.advanceTimersByTime(1);
    expect(limiter.assertCapacity).not.toThrow();
  });

  it('When there are a hundred, then no other may start, however old they are', () => {
    for (const count of [YOUNG, ALL - YOUNG]) {
      begin(count);
      vi.advanceTimersByTime(1_000);
    }
    expect(limiter.assertCapacity).toThrow(OverloadedError);
  });

  it('When an old one ends, then it is not counted twice', async () => {
    let end = () => {};
    const old = limiter.run(() => new Promise<void>((resolve) => (end = resolve)));
    vi.advanceTimersByTime(1_000);
    begin(YOUNG);
    end();
    await old;
    expect(limiter.assertCapacity).toThrow(OverloadedError);
  });

  it('When one fails, then its slot is free again', async () => {
    begin(YOUNG - 1);
    await expect(limiter.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(limiter.assertCapacity).not.toThrow();
  });
});

describe('requests that wait', () => {
  beforeEach(() => {
    limiter = createConcurrencyLimiter(createMetrics(), { recentMs: 60_000, maxWaiting: 2 });
  });

  /** Starts a request whose end the test decides. */
  function beginOne() {
    let end = () => {};
    const done = limiter.run(() => new Promise<void>((resolve) => (end = resolve)));
    return { end: () => end(), done };
  }

  it('When one ends, then the request that has waited longest starts', async () => {
    begin(YOUNG - 1);
    const last = beginOne();
    const started: string[] = [];
    const runs = ['first', 'second'].map((name) => limiter.run(async () => void started.push(name)));
    expect(started).toEqual([]);
    last.end();
    await Promise.all([last.done, ...runs]);
    expect(started).toEqual(['first', 'second']);
  });

  it('When too many wait, then the next one is shed at once', async () => {
    begin(YOUNG);
    const waiting = [beginOne(), beginOne()];
    expect(limiter.assertCapacity).toThrow(OverloadedError);
    await expect(limiter.run(() => Promise.resolve())).rejects.toThrow(OverloadedError);
    vi.advanceTimersByTime(1_000);
    for (const { status } of await Promise.allSettled(waiting.map(({ done }) => done)))
      expect(status).toBe('rejected');
  });

  it('When one has waited for a second, then it is shed, and never starts', async () => {
    begin(YOUNG - 1);
    const last = beginOne();
    let isStarted = false;
    const late = limiter.run(async () => void (isStarted = true));
    vi.advanceTimersByTime(1_000);
    await expect(late).rejects.toThrow(OverloadedError);
    last.end();
    await last.done;
    expect(isStarted).toBe(false);
    expect(limiter.assertCapacity).not.toThrow();
  });

  it('When requests that run get older, then waiting ones start', async () => {
    limiter = createConcurrencyLimiter(createMetrics(), { recentMs: 500, maxWaiting: 2 });
    begin(YOUNG);
    const waiting = limiter.run(() => Promise.resolve('started'));
    vi.advanceTimersByTime(500);
    expect(await waiting).toBe('started');
  });
});
