import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { createHash } from 'node:crypto';

/** A pseudorandom number generator: the same seed gives the same choices in the same order. */
export interface Prng {
  /** A whole number between the bounds, both included. */
  between: (low: number, high: number) => number;
  /** True with this probability. */
  happens: (probability: number) => boolean;
  pick: <T>(from: readonly T[]) => T;
  /** One of the names, with a probability in proportion to its weight. */
  weighted: <Name extends string>(weights: Readonly<Record<Name, number>>) => Name;
  /** An independent generator for a part of the run. */
  of: (part: string) => Prng;
}

export function createPrng(seed: string): Prng {
  const generator = xoroshiro128plus(createHash('sha256').update(seed).digest().readInt32LE(0));
  const between = (low: number, high: number) => uniformInt(generator, low, high);
  const nextFraction = () => uniformFloat64(generator);
  return {
    between,
    happens: (probability) => nextFraction() < probability,
    pick: (from) => from[between(0, from.length - 1)] as (typeof from)[number],
    weighted(weights) {
      const entries = Object.entries<number>(weights);
      let remaining = nextFraction() * entries.reduce((sum, [, weight]) => sum + weight, 0);
      const found = entries.find(([, weight]) => (remaining -= weight) < 0) ?? entries.at(-1);
      return found?.[0] as keyof typeof weights;
    },
    of: (part) => createPrng(`${seed} ${part}`),
  };
}

/** Draws a rank from 0 to `size` - 1 by Zipf's law: the n-th rank has 1/n of the probability of the first. */
export function zipf(size: number): (prng: Prng) => number {
  const weights = Object.fromEntries(Array.from({ length: size }, (_, rank) => [rank, 1 / (rank + 1)]));
  return (prng) => Number(prng.weighted(weights));
}
