import { chance } from './chance.ts';

/** A kind of fault as the schedule sees it. */
export interface Kind {
  name: string;
  /** What it can hit, and the processes that are touched by that: nothing is hit twice at a time. */
  targets: readonly Target[];
  /** The least and the most that it lasts. Milliseconds. */
  lasts: readonly [least: number, most: number];
  /** How often it comes, against the others. */
  weight: number;
}

export interface Target {
  name: string;
  touches: readonly string[];
  /** How often, against the kind's other targets. */
  weight: number;
}

/** One fault that is to be done. */
export interface Fault {
  kind: string;
  target: string;
  /** The processes that are its own while it lasts. */
  touches: readonly string[];
  /** Milliseconds after the load has begun. */
  at: number;
  lasts: number;
}

/** Milliseconds between the beginnings of two faults. */
const GAP = [800, 4_000] as const;
const AT_ONCE = 3;
/** Before the first fault, and after the last one. Milliseconds. */
const CALM = 3_000;

/**
 * Which faults come when: every kind once, in an order of chance, then all by their weights. At most three at once, and
 * never two at the same process.
 */
export function schedule(options: { seed: string; forMs: number; kinds: readonly Kind[] }): Fault[] {
  const { forMs, kinds } = options;
  const source = chance(options.seed).of('schedule');
  const byName = new Map(kinds.map((kind) => [kind.name, kind]));
  const weights = Object.fromEntries(kinds.map(({ name, weight }) => [name, weight]));
  const still = shuffled(
    kinds.map(({ name }) => name),
    source,
  );
  const faults: Fault[] = [];
  let under: { until: number; touches: readonly string[] }[] = [];

  for (let at = CALM; at < forMs - CALM; at += source.between(...GAP)) {
    under = under.filter(({ until }) => until > at);
    const kind = byName.get(still[0] ?? source.weighted(weights));
    if (!kind || under.length >= AT_ONCE) continue;
    const taken = new Set(under.flatMap(({ touches }) => touches));
    const free = kind.targets.filter(({ touches }) => !touches.some((one) => taken.has(one)));
    if (free.length === 0) continue;
    const target = source.weighted(Object.fromEntries(free.map(({ name, weight }) => [name, weight])));
    const touches = free.find(({ name }) => name === target)?.touches ?? [];
    const lasts = source.between(...kind.lasts);
    still.shift();
    faults.push({ kind: kind.name, target, touches, at, lasts });
    under.push({ until: at + lasts + RESTART, touches });
  }
  return faults;
}

/** What is killed takes about this time to start again. Milliseconds. */
const RESTART = 2_500;

function shuffled<T>(items: readonly T[], source: ReturnType<typeof chance>): T[] {
  const left = [...items];
  return items.map(() => left.splice(source.between(0, left.length - 1), 1)[0] as T);
}
