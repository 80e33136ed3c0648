import type { Running } from '../machine/processes.ts';

/** A process that can be stopped and started again, the same each time. */
export interface Unit {
  /** The process id; -1 where it has never run. */
  pid: () => number;
  /** Whether nothing of it runs. */
  hasEnded: () => boolean;
  stop: (signal?: NodeJS.Signals) => Promise<void>;
  /** Resolves when it answers that it is ready. @throws Error where it ends before that, or takes too long */
  start: () => Promise<void>;
}

/** @param bring starts the process, hands it over, and resolves when it is ready. Who asks meanwhile waits for the same. */
export function unit(bring: (keep: (started: Running) => void) => Promise<unknown>): Unit {
  let running: Running | undefined;
  let starting: Promise<unknown> | undefined;
  return {
    pid: () => running?.pid ?? -1,
    hasEnded: () => running?.hasEnded() ?? true,
    stop: async (signal) => running?.stop(signal),
    async start() {
      starting ??= bring((started) => (running = started)).finally(() => (starting = undefined));
      await starting;
    },
  };
}
