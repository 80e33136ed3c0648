import { describe, expect, it } from 'vitest';
import { schedule, type Fault, type Kind } from '../faults/schedule.ts';

const MINUTES = 10;
const target = (name: string, ...touches: string[]) => ({ name, weight: 1, touches: [name, ...touches] });
const KINDS: readonly Kind[] = [
  {
    name: 'killed',
    weight: 5,
    lasts: [200, 2_000],
    targets: ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => target(name)),
  },
  {
    name: 'frozen',
    weight: 3,
    lasts: [500, 6_000],
    targets: ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => target(name)),
  },
  { name: 'cut', weight: 2, lasts: [1_000, 4_500], targets: [target('far', 'b', 'd')] },
  { name: 'rare', weight: 0.1, lasts: [500, 6_000], targets: [target('broker')] },
];
const planOf = (seed: string, kinds = KINDS) => schedule({ seed, forMs: MINUTES * 60_000, kinds });

const overlaps = (one: Fault, other: Fault) =>
  one.at < other.at + other.lasts && other.at < one.at + one.lasts;

describe('the schedule of faults', () => {
  it('When the seed is the same, then the schedule is the same; another seed gives another one', () => {
    expect(planOf('1')).toEqual(planOf('1'));
    expect(planOf('1')).not.toEqual(planOf('2'));
  });

  describe.each(['1', '2', '3', 'any text'])('with the seed %j', (seed) => {
    const plan = planOf(seed);

    it('When it covers ten minutes, then it has two hundred faults, and the first ones include every type', () => {
      expect(plan.length).toBeGreaterThanOrEqual(200);
      const first = plan.slice(0, KINDS.length).map(({ kind }) => kind);
      expect(first.toSorted()).toEqual(KINDS.map(({ name }) => name).toSorted());
    });

    it('When faults overlap, then they are at most three, on different processes', () => {
      for (const fault of plan) {
        const others = plan.filter((other) => other !== fault && overlaps(fault, other));
        const touchedByOthers = new Set(others.flatMap(({ touches }) => touches));
        expect(fault.touches.filter((name) => touchedByOthers.has(name))).toEqual([]);
        const overlapping = others.filter(({ at }) => at <= fault.at);
        expect(overlapping.length).toBeLessThan(3);
      }
    });

    it('When a fault is planned, then its duration fits its type, with time to recover after it', () => {
      for (const { kind, lasts, at } of plan) {
        const [least, most] = KINDS.find(({ name }) => name === kind)?.lasts ?? [0, 0];
        expect(lasts).toBeGreaterThanOrEqual(least);
        expect(lasts).toBeLessThanOrEqual(most);
        expect(at).toBeLessThan(MINUTES * 60_000 - 3_000);
      }
    });

    it('When a fault type has more weight, then it occurs more often', () => {
      const times = (name: string) => plan.filter(({ kind }) => kind === name).length;
      expect(times('killed')).toBeGreaterThan(times('cut'));
      expect(times('cut')).toBeGreaterThan(times('rare'));
    });
  });
});
