import { setTimeout as delay } from 'node:timers/promises';
import type { Unit } from '../../deploy/local/app-processes.ts';
import { bringUp, type FaultKind } from './kinds.ts';
import type { Fault } from './schedule.ts';

/** A fault that was done. Times are those of the wall clock, in milliseconds. */
export interface Done extends Fault {
  began: number;
  /** When what it stopped was up again. */
  ended: number;
}

/**
 * Does the faults at their times; resolves when all of them are over.
 *
 * @param options.during is called for each fault, and calls `act`, which does it and resolves when it is over
 * @throws Error where one could not be done or ended: the system's own code is at fault, or this one
 */
export async function inflict(
  faults: readonly Fault[],
  kinds: readonly FaultKind[],
  options: { signal: AbortSignal; during: (fault: Fault, act: () => Promise<void>) => Promise<void> },
): Promise<Done[]> {
  const { signal, during } = options;
  const started = Date.now();
  const done: Done[] = [];
  await Promise.all(
    faults.map(async (fault) => {
      const kind = kinds.find(({ name }) => name === fault.kind);
      if (!kind) throw new Error(`no fault of the kind "${fault.kind}" can be done here`);
      await delay(Math.max(0, fault.at - (Date.now() - started)), undefined, { signal });
      await during(fault, async () => {
        const began = Date.now();
        const end = await kind.begin(fault.target);
        await delay(fault.lasts, undefined, { signal }).finally(end);
        done.push({ ...fault, began, ended: Date.now() });
      });
    }),
  );
  return done.toSorted((a, b) => a.began - b.began);
}

/** How often a process is looked at. Milliseconds. */
const LOOK_EVERY = 500;

/**
 * Starts what has ended by itself, as a platform does. What a fault holds down is that fault's.
 *
 * @param isHeld whether a fault is on the unit of this name
 * @returns what has ended by itself so far, and how to stop looking
 */
export function supervise(units: ReadonlyMap<string, Unit>, isHeld: (name: string) => boolean) {
  const endedByItself: string[] = [];
  const starting = new Set<string>();
  const timer = setInterval(() => {
    for (const [name, unit] of units) {
      if (isHeld(name) || starting.has(name) || !unit.hasEnded()) continue;
      starting.add(name);
      endedByItself.push(name);
      bringUp(unit)
        .catch(() => {})
        .finally(() => starting.delete(name));
    }
  }, LOOK_EVERY);
  return {
    endedByItself,
    stop: () => clearInterval(timer),
  };
}
