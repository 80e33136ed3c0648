import { assertRunning, type RunningProcess } from '../machine/processes.ts';

/** A process that can be stopped and started again with the same command. */
export interface ManagedProcess {
  /** The process id; -1 before the first start. */
  pid: () => number;
  /** Whether the process does not run. */
  hasExited: () => boolean;
  /** @throws Error with the reason, if the process has exited */
  assertRunning: () => void;
  stop: (signal?: NodeJS.Signals) => Promise<void>;
  /** Resolves when the process is ready. @throws Error if it exits first, or is not ready in time */
  start: () => Promise<void>;
}

/** @param start starts the process, passes it to `onStarted`, and resolves when it is ready. Concurrent callers share one start. */
export function createManagedProcess(
  start: (onStarted: (started: RunningProcess) => void) => Promise<unknown>,
): ManagedProcess {
  let running: RunningProcess | undefined;
  let starting: Promise<unknown> | undefined;
  return {
    pid: () => running?.pid ?? -1,
    hasExited: () => running?.hasExited() ?? true,
    assertRunning: () => running && assertRunning(running),
    stop: async (signal) => running?.stop(signal),
    async start() {
      starting ??= start((started) => (running = started)).finally(() => (starting = undefined));
      await starting;
    },
  };
}
