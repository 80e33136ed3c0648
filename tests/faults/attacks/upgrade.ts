import { setTimeout as delay } from 'node:timers/promises';
import type { RunningSystem } from '../../../deploy/local/system/system.ts';
import { countFailures, requestsSent } from '../journal.ts';
import type { Fault } from '../schedule.ts';
import type { Attack, CompletedFault } from './attack.ts';

/** The wait after each replica, like `minReadySeconds` of a Deployment. A sidecar probes its service first after 5 s. */
const MIN_READY_MS = 7_000;

/**
 * Creates an attack that restarts each replica and its sidecar in turn, as a platform rolls out a new version. Every service
 * needs two replicas.
 */
export function createUpgradeAttack(system: RunningSystem): Attack {
  return async ({ journal, runFault, signal }) => {
    const started = performance.now();
    const completed: CompletedFault[] = [];
    await delay(MIN_READY_MS, undefined, { signal });
    for (const name of system.names) {
      const fault: Fault = {
        type: 'upgrade',
        target: name,
        affects: [name],
        atMs: performance.now() - started,
        durationMs: 0,
      };
      const { service, sidecar } = system.app(name);
      await runFault(fault, async () => {
        const startedAt = Date.now();
        await Promise.all([service.stop(), sidecar.stop()]);
        await Promise.all([service.start(), sidecar.start()]);
        completed.push({ ...fault, startedAt, endedAt: Date.now() });
      });
      await delay(MIN_READY_MS, undefined, { signal });
    }
    return {
      faults: completed,
      evaluate: () => ({
        checks: [
          {
            name: 'one retry',
            promise: 'No request fails for a caller that retries once at the other gateway.',
            verified: requestsSent(journal),
            violations: Object.entries(countFailures(journal.failures)).map(
              ([failure, times]) => `${failure}, ${times} times`,
            ),
          },
        ],
        figures: {},
      }),
    };
  };
}
