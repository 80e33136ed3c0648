import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultType } from '../fault-types.ts';
import { createSchedule, type Fault } from '../schedule.ts';
import type { Attack, CompletedFault } from './attack.ts';

/**
 * Creates an attack with faults of these types, some of them at once. The seed determines the schedule.
 *
 * @throws Error if a fault cannot be started or ended
 */
export function createFaultAttack(options: {
  seed: string;
  seconds: number;
  faultTypes: readonly FaultType[];
}): Attack {
  const { seed, seconds, faultTypes } = options;
  const planned = createSchedule({ seed, lengthMs: seconds * 1000, faultTypes });
  return async ({ runFault, signal: outerSignal, print }) => {
    const aborted = new AbortController();
    const signal = AbortSignal.any([outerSignal, aborted.signal]);
    setMaxListeners(0, signal);
    print(`${planned.length} faults of ${faultTypes.length} types in ${seconds} s of load.`);
    const started = performance.now();
    const completed: CompletedFault[] = [];
    const runScheduled = async (fault: Fault) => {
      const faultType = faultTypes.find(({ name }) => name === fault.type);
      if (!faultType) throw new Error(`unknown fault type "${fault.type}"`);
      await delay(Math.max(0, fault.atMs - (performance.now() - started)), undefined, { signal });
      await runFault(fault, async () => {
        const startedAt = Date.now();
        const end = await faultType.begin(fault.target);
        await delay(fault.durationMs, undefined, { signal }).finally(end);
        completed.push({ ...fault, startedAt, endedAt: Date.now() });
      });
    };
    const all = [delay(seconds * 1000, undefined, { signal }), ...planned.map(runScheduled)];
    // A process that is still restarting would outlive the system.
    await Promise.all(all).finally(async () => {
      aborted.abort();
      await Promise.allSettled(all);
    });
    return { faults: completed.toSorted((a, b) => a.startedAt - b.startedAt) };
  };
}
