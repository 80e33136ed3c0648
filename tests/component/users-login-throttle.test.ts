import { describe, expect, it } from 'vitest';
import { failedAgain, secondsToWait, waitAfter, type Failures } from '../../services/users/login-throttle.ts';

const start = new Date('2026-03-01T00:00:00.000Z');
const after = (seconds: number) => new Date(start.getTime() + seconds * 1000);
const failures = (count: number): Failures => ({ count, last_at: start.toISOString() });

describe('Failures to log in', () => {
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
  ])('When there were %i in a row, then the next attempt waits %i s', (count, seconds) => {
    expect(waitAfter(count)).toBe(seconds);
    expect(secondsToWait(failures(count), start)).toBe(seconds);
  });

  it.each([
    [0, 8],
    [0.1, 8],
    [7, 1],
    [7.9, 1],
    [8, 0],
    [100, 0],
  ])('When %d s have passed of eight, then it is %i s more', (passed, left) => {
    expect(secondsToWait(failures(8), after(passed))).toBe(left);
  });

  it('When nobody has failed, then nobody waits', () => {
    expect(secondsToWait(undefined, start)).toBe(0);
    expect(failedAgain(undefined, start)).toEqual(failures(1));
  });

  it.each([
    [3599, 6],
    [3600, 1],
  ])('When the last was %i s ago, then the next is number %i', (seconds, count) => {
    expect(failedAgain(failures(5), after(seconds))).toEqual({
      count,
      last_at: after(seconds).toISOString(),
    });
  });
});
