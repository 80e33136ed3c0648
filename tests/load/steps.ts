import type { Load } from './closed-loop.ts';

/** More failures end the benchmark, because the system is broken. */
const MAX_FAILURES = 500;
/** Further failures are only counted. */
const MAX_PRINTED = 20;

/** The steps of a benchmark, one after another. */
export interface Steps<Measure extends string> {
  /** Runs a step, prints its figure, and keeps it among the samples of this measure. */
  run: <Result>(
    measure: Measure,
    step: () => Promise<Result>,
    figure: (result: Result) => number,
  ) => Promise<Result>;
  /** The figures so far, in their order. */
  samples: Partial<Record<Measure, number[]>>;
  /** For a `Pace`: prints and counts a failed request. @throws Error after too many */
  onFailure: (error: unknown) => void;
  failures: () => number;
}

export function createSteps<Measure extends string>(signal: AbortSignal): Steps<Measure> {
  const samples: Partial<Record<Measure, number[]>> = {};
  let failures = 0;
  return {
    samples,
    failures: () => failures,
    onFailure(error) {
      failures += 1;
      if (failures > MAX_FAILURES) throw error;
      if (failures <= MAX_PRINTED) console.log(`        failed: ${String(error)}`);
    },
    async run(measure, step, figure) {
      signal.throwIfAborted();
      const started = performance.now();
      const result = await step();
      const value = figure(result);
      (samples[measure] ??= []).push(value);
      const elapsed = ((performance.now() - started) / 1000).toFixed(0).padStart(4);
      console.log(`${elapsed} s  ${measure.padEnd(36)} ${value.toFixed(1).padStart(9)}`);
      return result;
    },
  };
}

export const perSecond = (result: Pick<Load, 'perSecond'>): number => result.perSecond;
