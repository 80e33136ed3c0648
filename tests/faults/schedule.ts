import { createPrng } from './prng.ts';

/** The properties of a fault type that the schedule uses. */
export interface FaultTypeSpec {
  name: string;
  /** The possible targets. No process is affected by two faults at a time. */
  targets: readonly Target[];
  /** The shortest and the longest duration. */
  durationRangeMs: readonly [least: number, most: number];
  /** The frequency in relation to other types. */
  weight: number;
}

export interface Target {
  name: string;
  affects: readonly string[];
  /** The frequency in relation to the other targets of the type. */
  weight: number;
}

/** A scheduled fault. */
export interface Fault {
  type: string;
  target: string;
  /** The affected processes. */
  affects: readonly string[];
  /** The time after the start of the load. */
  atMs: number;
  durationMs: number;
}

/** The range of intervals between the starts of two faults. */
const GAP_MS = [800, 4_000] as const;
const MAX_CONCURRENT_FAULTS = 3;
/** The time without faults at the start and at the end. */
const QUIET_MS = 3_000;

/**
 * Creates a schedule: first every type once, in random order, then all by weight. At most three faults overlap, and never
 * on the same process.
 */
export function createSchedule(options: {
  seed: string;
  lengthMs: number;
  faultTypes: readonly FaultTypeSpec[];
}): Fault[] {
  const { lengthMs, faultTypes } = options;
  const prng = createPrng(options.seed).of('schedule');
  const byName = new Map(faultTypes.map((faultType) => [faultType.name, faultType]));
  const weights = Object.fromEntries(faultTypes.map(({ name, weight }) => [name, weight]));
  const unused = shuffled(
    faultTypes.map(({ name }) => name),
    prng,
  );
  const faults: Fault[] = [];
  let active: { until: number; affects: readonly string[] }[] = [];

  for (let atMs = QUIET_MS; atMs < lengthMs - QUIET_MS; atMs += prng.between(...GAP_MS)) {
    active = active.filter(({ until }) => until > atMs);
    const faultType = byName.get(unused[0] ?? prng.weighted(weights));
    if (!faultType || active.length >= MAX_CONCURRENT_FAULTS) continue;
    const affected = new Set(active.flatMap(({ affects }) => affects));
    const available = faultType.targets.filter(
      ({ affects }) => !affects.some((process) => affected.has(process)),
    );
    if (available.length === 0) continue;
    const target = prng.weighted(Object.fromEntries(available.map(({ name, weight }) => [name, weight])));
    const affects = available.find(({ name }) => name === target)?.affects ?? [];
    const durationMs = prng.between(...faultType.durationRangeMs);
    unused.shift();
    faults.push({ type: faultType.name, target, affects, atMs, durationMs });
    active.push({ until: atMs + durationMs + RESTART_MS, affects });
  }
  return faults;
}

/** The approximate start time of a killed process. */
const RESTART_MS = 2_500;

function shuffled<T>(items: readonly T[], prng: ReturnType<typeof createPrng>): T[] {
  const remaining = [...items];
  return items.map(() => remaining.splice(prng.between(0, remaining.length - 1), 1)[0] as T);
}
