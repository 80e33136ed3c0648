import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultKind } from '../kinds.ts';
import { schedule, type Fault } from '../schedule.ts';
import type { Attack, Done } from './attack.ts';

/**
 * Faults of these kinds, one after the other and together, as the seed has it.
 *
 * @throws Error where one could not be done or ended: the system's own code is at fault, or this one
 */
export function faults(options: { seed: string; seconds: number; kinds: readonly FaultKind[] }): Attack {
  const { seed, seconds, kinds } = options;
  const plan = schedule({ seed, forMs: seconds * 1000, kinds });
  return async ({ during, signal: interrupted, tell }) => {
    const over = new AbortController();
    const signal = AbortSignal.any([interrupted, over.signal]);
    setMaxListeners(0, signal);
    tell(`${plan.length} faults of ${kinds.length} kinds in ${seconds} s of load.`);
    const started = performance.now();
    const done: Done[] = [];
    const inflict = async (fault: Fault) => {
      const kind = kinds.find(({ name }) => name === fault.kind);
      if (!kind) throw new Error(`no fault of the kind "${fault.kind}" can be done here`);
      await delay(Math.max(0, fault.at - (performance.now() - started)), undefined, { signal });
      await during(fault, async () => {
        const began = Date.now();
        const end = await kind.begin(fault.target);
        await delay(fault.lasts, undefined, { signal }).finally(end);
        done.push({ ...fault, began, ended: Date.now() });
      });
    };
    const all = [delay(seconds * 1000, undefined, { signal }), ...plan.map(inflict)];
    // What is still being started again would outlive the system.
    await Promise.all(all).finally(async () => {
      over.abort();
      await Promise.allSettled(all);
    });
    return { faults: done.toSorted((a, b) => a.began - b.began) };
  };
}
