import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { inFlight, type InFlight } from '../../services/gateway/limits/in-flight.ts';
import { Overload } from '../../services/shared/problem.ts';

const YOUNG = 64;
const ALL = 100;

let room: InFlight;
beforeEach(() => {
  vi.useFakeTimers();
  room = inFlight(1_000);
});
afterEach(() => vi.useRealTimers());

/** Begins so many that do not end; the first that is refused throws. */
function begin(count: number): void {
  for (let begun = 0; begun < count; begun++) {
    room.demandRoom();
    void room.run(() => new Promise(() => {}));
  }
}

describe('requests under way', () => {
  it('When sixty-four are young, then there is no room until one has ended', async () => {
    begin(YOUNG - 1);
    let end = () => {};
    const last = room.run(() => new Promise<void>((resolve) => (end = resolve)));
    expect(room.demandRoom).toThrow(Overload);
    await expect(room.run(() => Promise.resolve())).rejects.toThrow(Overload);
    end();
    await last;
    expect(room.demandRoom).not.toThrow();
  });

  it('When they have waited for a second, then there is room for others', () => {
    begin(YOUNG);
    vi.advanceTimersByTime(999);
    expect(room.demandRoom).toThrow(Overload);
    vi.advanceTimersByTime(1);
    expect(room.demandRoom).not.toThrow();
  });

  it('When there are a hundred, then there is none, however old they are', () => {
    for (const count of [YOUNG, ALL - YOUNG]) {
      begin(count);
      vi.advanceTimersByTime(1_000);
    }
    expect(room.demandRoom).toThrow(Overload);
  });

  it('When one that has become old ends, then it is not counted twice', async () => {
    let end = () => {};
    const old = room.run(() => new Promise<void>((resolve) => (end = resolve)));
    vi.advanceTimersByTime(1_000);
    begin(YOUNG);
    end();
    await old;
    expect(room.demandRoom).toThrow(Overload);
  });

  it('When one fails, then its room is free again', async () => {
    begin(YOUNG - 1);
    await expect(room.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(room.demandRoom).not.toThrow();
  });
});
