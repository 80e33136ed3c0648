import { describe, expect, it } from 'vitest';
import { createRateLimitStore } from '../../services/gateway/limits/rate-limit-store.ts';
import {
  estimate,
  allowsOneMore,
  retryAfterMs,
  type Counts,
} from '../../services/gateway/limits/sliding-window.ts';

const window = { limit: 10, lengthMs: 60_000 };
/** Converts seconds since the start of a window to a time. */
const at = (seconds: number) => 600_000 + seconds * 1_000;

describe('a sliding window', () => {
  it.each<[string, Counts, number, number]>([
    ['nothing', { current: 0, previous: 0 }, 0, 0],
    ['the window that runs counts whole', { current: 4, previous: 0 }, 59, 4],
    ['the one before counts whole at its end', { current: 0, previous: 8 }, 0, 8],
    ['the one before counts half in the middle', { current: 2, previous: 8 }, 30, 6],
  ])('When there is %s, then the estimate includes it', (_, counts, seconds, requests) => {
    expect(estimate(counts, at(seconds), window)).toBe(requests);
  });

  it.each<[Counts, number, number]>([
    [{ current: 9, previous: 0 }, 0, 0],
    [{ current: 0, previous: 9 }, 0, 0],
    // 10 * (1 - t / 60 s) + 1 <= 10 from 6 s on.
    [{ current: 0, previous: 10 }, 0, 6],
    [{ current: 0, previous: 10 }, 5, 1],
    // 5 + 10 * (1 - t / 60 s) + 1 <= 10 from 36 s on.
    [{ current: 5, previous: 10 }, 0, 36],
    // The window ends after 20 s. After that, 10 * (1 - t / 60 s) + 1 <= 10 takes 6 s more.
    [{ current: 10, previous: 0 }, 40, 26],
  ])('When the counts are %j %d s into the window, then one more fits after %d s', (counts, into, after) => {
    const waiting = retryAfterMs(counts, at(into), window);
    expect(waiting).toBe(after * 1_000);
    expect(allowsOneMore(counts, at(into), window)).toBe(after === 0);
  });

  it.each([1, 2, 10, 1_000])('When the limit is %d, then the stated delay is long enough', async (limit) => {
    const store = createRateLimitStore();
    const one = { limit, lengthMs: 60_000 };
    let time = at(17);
    for (let round = 0; round < 5; round++) {
      let usage = await store.consume('a', time, one);
      while (usage.allowed) usage = await store.consume('a', time, one);
      const waiting = retryAfterMs(usage, time, one);
      expect(waiting).toBeGreaterThan(0);
      time += waiting;
      expect((await store.consume('a', time, one)).allowed).toBe(true);
    }
  });

  it('When a caller retries constantly for ten minutes, then no minute exceeds the limit', async () => {
    const store = createRateLimitStore();
    const allowed: number[] = [];
    for (let time = at(0); time < at(600); time += 250)
      if ((await store.consume('a', time, window)).allowed) allowed.push(time);
    const most = Math.max(
      ...allowed.map((start) => allowed.filter((time) => time >= start && time < start + 60_000).length),
    );
    // The estimate assumes an even previous window. It may be off by a little, but not by a whole window.
    expect(most).toBeLessThanOrEqual(12);
    expect(allowed.length).toBeGreaterThanOrEqual(90);
  });
});
