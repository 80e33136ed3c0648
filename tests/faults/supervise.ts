import type { ManagedProcess } from '../../deploy/local/system/managed-process.ts';
import { bringUp } from './kinds.ts';

/** How often a process is looked at. Milliseconds. */
const LOOK_EVERY = 500;

/**
 * Starts what has ended by itself, as a platform does. What a fault holds down is that fault's.
 *
 * @param isHeld whether a fault is on the unit of this name
 * @returns what has ended by itself so far, and how to stop looking: then nothing is being started any more
 */
export function supervise(units: ReadonlyMap<string, ManagedProcess>, isHeld: (name: string) => boolean) {
  const endedByItself: string[] = [];
  const starting = new Map<string, Promise<void>>();
  const timer = setInterval(() => {
    for (const [name, unit] of units) {
      if (isHeld(name) || starting.has(name) || !unit.hasExited()) continue;
      endedByItself.push(name);
      const started = bringUp(unit).catch(() => {});
      starting.set(
        name,
        started.finally(() => starting.delete(name)),
      );
    }
  }, LOOK_EVERY);
  return {
    endedByItself,
    async stop() {
      clearInterval(timer);
      await Promise.all(starting.values());
    },
  };
}
