import type { Logger } from '../../shared/telemetry/logger.ts';

/** Runs a task at an interval, never twice at once, until `stop`. A failed run is logged, and the next one follows. */
export function repeat(
  task: () => Promise<void>,
  intervalMs: number,
  log: Logger,
): { stop: () => Promise<void> } {
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= task()
      .catch((err: unknown) => log.warn({ err }, 'a sweep failed'))
      .finally(() => (running = undefined));
  }, intervalMs);
  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
