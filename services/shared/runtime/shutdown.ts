import type { Logger } from '../telemetry/logger.ts';

/**
 * Returns the result of `read`. If it throws, the process prints the message without a stack trace and exits with 1. Commands
 * use it for their environment and arguments, which only the user can correct.
 */
export async function orExit<T>(process: NodeJS.Process, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return process.exit(1);
  }
}

/** A signal that aborts on SIGTERM and SIGINT, for work without an end, such as streams. Call it before `stopGracefully`. */
export function stopSignal(process: NodeJS.Process): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopping.abort());
  return stopping.signal;
}

/** How long requests in progress may take after SIGTERM. */
export const STOP_TIMEOUT_MS = 10_000;

/**
 * On SIGTERM or SIGINT, closes all `servers` at once, which lets requests in progress finish, and then runs `cleanups` in order.
 * The process exits with 0, or with 1 after ten seconds. A second signal changes nothing
 * (services/decisions/0130-libraries-and-own-code.md).
 */
export function stopGracefully(
  process: NodeJS.Process,
  servers: readonly (() => Promise<unknown>)[],
  log: Logger,
  ...cleanups: (() => Promise<unknown>)[]
): void {
  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
    await Promise.all(servers.map((close) => close()));
    for (const close of cleanups)
      await close().catch((err: unknown) => log.warn({ err }, 'closing a resource failed'));
    process.exit(0);
  };
  process.on('SIGTERM', (signal) => void stop(signal));
  process.on('SIGINT', (signal) => void stop(signal));
}
