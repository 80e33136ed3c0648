import type { ManagedProcess } from '../../deploy/local/system/managed-process.ts';
import { ensureRunning } from './fault-types.ts';

const POLL_INTERVAL_MS = 500;

/**
 * Restarts processes that exit, as a platform does, except those under a fault.
 *
 * @param isUnderFault whether a fault affects the process of this name
 * @returns the exits so far, and `stop`, which waits for restarts in progress
 */
export function startSupervisor(
  units: ReadonlyMap<string, ManagedProcess>,
  isUnderFault: (name: string) => boolean,
) {
  const unexpectedExits: string[] = [];
  const starting = new Map<string, Promise<void>>();
  const timer = setInterval(() => {
    for (const [name, unit] of units) {
      if (isUnderFault(name) || starting.has(name) || !unit.hasExited()) continue;
      unexpectedExits.push(name);
      const started = ensureRunning(unit).catch(() => {});
      starting.set(
        name,
        started.finally(() => starting.delete(name)),
      );
    }
  }, POLL_INTERVAL_MS);
  return {
    unexpectedExits,
    async stop() {
      clearInterval(timer);
      await Promise.all(starting.values());
    },
  };
}
