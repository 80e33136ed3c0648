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
  limiter = createConcurrencyLimiter(createMetrics(), 1_000);
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
