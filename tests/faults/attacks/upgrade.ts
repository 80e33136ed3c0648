import { setTimeout as delay } from 'node:timers/promises';
import type { RunningSystem } from '../../../deploy/local/system/system.ts';
import type { Fault } from '../schedule.ts';
import type { Attack, Done } from './attack.ts';

/** From one that is ready to the next, as the `minReadySeconds` of a Deployment: a sidecar first looks at its service after 5 s. */
const READY_FOR = 7_000;

/**
 * Ends each replica with its sidecar and starts it again, one after the other, as a platform rolls out a new version. Of
 * every service there have to be two.
 */
export function upgrade(system: RunningSystem): Attack {
  return async ({ journal, during, signal }) => {
    const started = performance.now();
    const done: Done[] = [];
    await delay(READY_FOR, undefined, { signal });
    for (const name of system.names) {
      const fault: Fault = {
        kind: 'upgrade',
        target: name,
        touches: [name],
        at: performance.now() - started,
        lasts: 0,
      };
      const { service, sidecar } = system.app(name);
      await during(fault, async () => {
        const began = Date.now();
        await Promise.all([service.stop(), sidecar.stop()]);
        await Promise.all([service.start(), sidecar.start()]);
        done.push({ ...fault, began, ended: Date.now() });
      });
      await delay(READY_FOR, undefined, { signal });
    }
    return {
      faults: done,
      judge: () => ({
        checks: [
          {
            name: 'one retry',
            promise: 'Whoever asks once more where one gateway has no answer notices nothing.',
            verified: [...journal.tries.values()].reduce((sum, { sent }) => sum + sent, 0),
            violations: [...journal.failures].map(([failure, times]) => `${failure}, ${times} times`),
          },
        ],
        figures: {},
      }),
    };
  };
}
