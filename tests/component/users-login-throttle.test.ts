import { describe, expect, it } from 'vitest';
import { secondsToWait, waitAfter } from '../../services/users/domain/login-throttle.ts';

const start = new Date('2026-03-01T00:00:00.000Z');
const after = (seconds: number) => new Date(start.getTime() + seconds * 1000);
const wait = (seconds: number) => ({ seconds, since: start.toISOString() });

describe('failed logins', () => {
  it.each([
    [0, 0],
    [1, 0],
    [4, 0],
    [5, 1],
    [6, 2],
    [7, 4],
    [8, 8],
    [10, 32],
    [11, 60],
    [12, 60],
    [5000, 60],
  ])('When %i failed in a row, then the next attempt waits %i s', (count, seconds) => {
    expect(waitAfter(count)).toBe(seconds);
    expect(secondsToWait(wait(seconds), start)).toBe(seconds);
  });

  it.each([
    [0, 8],
    [0.1, 8],
    [7, 1],
    [7.9, 1],
    [8, 0],
    [100, 0],
    [-1, 8],
    [-3600, 8],
  ])('When %d of eight seconds have passed, then %i remain', (passed, left) => {
    expect(secondsToWait(wait(8), after(passed))).toBe(left);
  });

  it('When none has failed, then there is no delay', () => {
    expect(secondsToWait(undefined, start)).toBe(0);
  });
});
