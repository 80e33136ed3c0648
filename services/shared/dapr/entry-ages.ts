import type { WorkEntry } from './work-list.ts';

/** How long an entry has existed, in milliseconds. */
export interface Age {
  /** No wrong clock makes it too high. Restarts make it too low. */
  provenMs: number;
  /** By the clocks of services, as far as they agree with what this process has seen. */
  likelyMs: number;
}

/** An entry as this process has seen it. Times are monotonic. */
interface Sighting {
  /** The last look, or the addition. */
  at: number;
  /** When this process first saw the entry after that look. */
  seenAt: number;
  /** The look was at most this long before `seenAt`. */
  slackMs: number;
  /** The entry existed at this time. */
  since: number;
}

/**
 * Tells the age of entries without trust in the difference of two wall clocks (services/decisions/0133-work-list.md). What a sweep
 * sees for the first time is not older than the sweep before. Only the first sweep of a process has to believe the clocks.
 *
 * @param monotonic milliseconds that no clock change affects
 * @param wall milliseconds of the clock of this process
 * @returns the ages at each sweep. Names differ for different entries.
 */
export function createEntryAges(
  monotonic: () => number,
  wall: () => number,
): (entries: Iterable<readonly [name: string, entry: WorkEntry]>) => Map<string, Age> {
  let sightings = new Map<string, Sighting>();
  let lastSweep = -Infinity;

  return (entries) => {
    const now = monotonic();
    const found = new Map<string, Sighting>();
    const ages = new Map<string, Age>();
    for (const [name, { added, looked }] of entries) {
      const { at, age_ms } = looked ?? { at: added, age_ms: 0 };
      const before = sightings.get(name);
      const { seenAt, slackMs } = before?.at === at ? before : { seenAt: now, slackMs: now - lastSweep };
      const since = Math.min(before?.since ?? Infinity, now - age_ms);
      const provenMs = Math.round(now - since);
      const seenMs = now - seenAt;
      const sinceLookMs = Math.min(Math.max(wall() - at, seenMs), seenMs + slackMs);
      found.set(name, { at, seenAt, slackMs, since });
      ages.set(name, { provenMs, likelyMs: Math.max(provenMs, Math.round(age_ms + sinceLookMs)) });
    }
    [sightings, lastSweep] = [found, now];
    return ages;
  };
}
