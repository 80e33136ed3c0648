import { describe, expect, it } from 'vitest';
import { createEntryAges } from '../../services/shared/dapr/entry-ages.ts';
import type { WorkEntry } from '../../services/shared/dapr/work-list.ts';

const HOUR = 3_600_000;
const SECOND = 1_000;

/** Ages of one entry at sweeps. Time is that of the entry's writer, and the sweeper's clock differs by `skewMs`. */
function sweepsOf(skewMs: number) {
  let timeMs = 0;
  const agesOf = createEntryAges(
    () => timeMs,
    () => timeMs + skewMs,
  );
  return (atMs: number, entry?: Partial<WorkEntry>) => {
    timeMs = atMs;
    const ages = agesOf(entry ? [['entry', { added: 0, due_ms: 0, ...entry }]] : []);
    const { provenMs, likelyMs } = ages.get('entry') ?? {};
    return [provenMs, likelyMs];
  };
}

describe('the age of an entry', () => {
  it.each([
    ['agree', 0, 30 * SECOND],
    ['say more', HOUR, HOUR + 30 * SECOND],
    ['say less', -HOUR, 0],
  ])(
    'When the first sweep of a process sees it and the clocks %s, then only the clocks tell its age',
    (_, skew, likely) => {
      expect(sweepsOf(skew)(30 * SECOND, {})).toEqual([0, likely]);
    },
  );

  it.each([
    ['agree', 0, 3 * SECOND],
    ['say more', HOUR, 5 * SECOND],
    ['say less', -HOUR, 0],
  ])(
    'When a later sweep sees it first and the clocks %s, then it is not older than the sweep before',
    (_, skew, likely) => {
      const ageAt = sweepsOf(skew);
      ageAt(-2 * SECOND);
      expect(ageAt(3 * SECOND, {})).toEqual([0, likely]);
    },
  );

  it.each([0, HOUR, -HOUR])(
    'When the clocks differ by %d ms, then the time since the first sight is proven',
    (skew) => {
      const ageAt = sweepsOf(skew);
      ageAt(0, {});
      expect(ageAt(20 * SECOND, {})[0]).toBe(20 * SECOND);
      const [proven, likely] = ageAt(25 * SECOND, {});
      expect(proven).toBe(25 * SECOND);
      expect(likely).toBeGreaterThanOrEqual(25 * SECOND);
    },
  );

  it('When another replica has seen it for longer, then its proof counts', () => {
    const ageAt = sweepsOf(HOUR);
    ageAt(0);
    const looked = { at: 10 * SECOND, age_ms: 60 * SECOND };
    expect(ageAt(12 * SECOND, { looked })).toEqual([60 * SECOND, 72 * SECOND]);
    expect(ageAt(15 * SECOND, { looked })[0]).toBe(63 * SECOND);
  });

  it('When another replica has seen it for less, then the own proof counts', () => {
    const ageAt = sweepsOf(0);
    ageAt(0, {});
    const looked = { at: 10 * SECOND, age_ms: 0 };
    expect(ageAt(12 * SECOND, { looked })).toEqual([12 * SECOND, 12 * SECOND]);
  });

  it('When it left the list and comes back, then its age begins again', () => {
    const ageAt = sweepsOf(0);
    ageAt(0, {});
    ageAt(10 * SECOND);
    expect(ageAt(20 * SECOND, { added: 19 * SECOND })).toEqual([0, SECOND]);
  });
});
