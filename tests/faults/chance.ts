import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { createHash } from 'node:crypto';

/** Chance that follows from a seed: the same seed, the same choices in the same order. */
export interface Chance {
  /** A whole number, both ends included. */
  between: (low: number, high: number) => number;
  /** Whether something happens that has this probability. */
  happens: (probability: number) => boolean;
  pick: <T>(from: readonly T[]) => T;
  /** One of the names, each as often as its weight says. */
  weighted: <Name extends string>(weights: Readonly<Record<Name, number>>) => Name;
  /** Chance of its own for a part of the run, so that what one part draws does not change another. */
  of: (part: string) => Chance;
}

export function chance(seed: string): Chance {
  const generator = xoroshiro128plus(createHash('sha256').update(seed).digest().readInt32LE(0));
  const between = (low: number, high: number) => uniformInt(generator, low, high);
  const fraction = () => uniformFloat64(generator);
  return {
    between,
    happens: (probability) => fraction() < probability,
    pick: (from) => from[between(0, from.length - 1)] as (typeof from)[number],
    weighted(weights) {
      const entries = Object.entries<number>(weights);
      let left = fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0);
      const found = entries.find(([, weight]) => (left -= weight) < 0) ?? entries.at(-1);
      return found?.[0] as keyof typeof weights;
    },
    of: (part) => chance(`${seed} ${part}`),
  };
}

/** Draws a place from 0 to `size` - 1, the first ones most often: the n-th has 1/n of the first one's share. */
export function zipf(size: number): (chance: Chance) => number {
  const weights = Object.fromEntries(Array.from({ length: size }, (_, place) => [place, 1 / (place + 1)]));
  return (source) => Number(source.weighted(weights));
}
