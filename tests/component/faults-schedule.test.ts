import { describe, expect, it } from 'vitest';
import { createSchedule, type Fault, type FaultTypeSpec } from '../faults/schedule.ts';

const MINUTES = 10;
const target = (name: string, ...affects: string[]) => ({ name, weight: 1, affects: [name, ...affects] });
const FAULT_TYPES: readonly FaultTypeSpec[] = [
  {
    name: 'killed',
    weight: 5,
    durationRangeMs: [200, 2_000],
    targets: ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => target(name)),
  },
  {
    name: 'frozen',
    weight: 3,
    durationRangeMs: [500, 6_000],
    targets: ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => target(name)),
  },
  { name: 'cut', weight: 2, durationRangeMs: [1_000, 4_500], targets: [target('far', 'b', 'd')] },
  { name: 'rare', weight: 0.1, durationRangeMs: [500, 6_000], targets: [target('broker')] },
];
const planOf = (seed: string, faultTypes = FAULT_TYPES) =>
  createSchedule({ seed, lengthMs: MINUTES * 60_000, faultTypes });

const overlaps = (one: Fault, other: Fault) =>
  one.atMs < other.atMs + other.durationMs && other.atMs < one.atMs + one.durationMs;

describe('the schedule of faults', () => {
  it('When the seed is the same, then the schedule is the same; another seed gives another one', () => {
    expect(planOf('1')).toEqual(planOf('1'));
    expect(planOf('1')).not.toEqual(planOf('2'));
  });

  describe.each(['1', '2', '3', 'any text'])('with the seed %j', (seed) => {
    const plan = planOf(seed);

    it('When it covers ten minutes, then it has two hundred faults, and the first ones include every type', () => {
      expect(plan.length).toBeGreaterThanOrEqual(200);
      const first = plan.slice(0, FAULT_TYPES.length).map(({ type }) => type);
      expect(first.toSorted()).toEqual(FAULT_TYPES.map(({ name }) => name).toSorted());
    });

    it('When faults overlap, then they are at most three, on different processes', () => {
      for (const fault of plan) {
        const others = plan.filter((other) => other !== fault && overlaps(fault, other));
        const affectedByOthers = new Set(others.flatMap(({ affects }) => affects));
        expect(fault.affects.filter((name) => affectedByOthers.has(name))).toEqual([]);
        const overlapping = others.filter(({ atMs }) => atMs <= fault.atMs);
        expect(overlapping.length).toBeLessThan(3);
      }
    });

    it('When a fault is planned, then its duration fits its type, with time to recover after it', () => {
      for (const { type, durationMs, atMs } of plan) {
        const [least, most] = FAULT_TYPES.find(({ name }) => name === type)?.durationRangeMs ?? [0, 0];
        expect(durationMs).toBeGreaterThanOrEqual(least);
        expect(durationMs).toBeLessThanOrEqual(most);
        expect(atMs).toBeLessThan(MINUTES * 60_000 - 3_000);
      }
    });

    it('When a fault type has more weight, then it occurs more often', () => {
      const times = (name: string) => plan.filter(({ type }) => type === name).length;
      expect(times('killed')).toBeGreaterThan(times('cut'));
      expect(times('cut')).toBeGreaterThan(times('rare'));
    });
  });
});
