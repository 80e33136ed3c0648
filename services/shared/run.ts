import type { Server } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from './log.ts';

/** Listens; resolves when connections are taken. */
export async function listen(app: RequestListener, port: number, host: string): Promise<Server> {
  // Longer than the 60 s after which a sidecar drops an idle connection, so that it is never us who closes first.
  const server = createServer({ keepAliveTimeout: 75_000, requestTimeout: 30_000 }, app);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return server;
}

/** What is under way may take this long to end after SIGTERM. Milliseconds. */
const STOP_TIMEOUT = 10_000;

/**
 * On SIGTERM or SIGINT: takes no new connections, lets what is in flight finish, then runs `closers` in their order.
 * Exits 0; 1 where that took longer than ten seconds.
 */
export function stopGracefully(
  process: NodeJS.Process,
  server: Server,
  log: Logger,
  ...closers: (() => Promise<unknown>)[]
): void {
  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => process.exit(1), STOP_TIMEOUT).unref();
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeIdleConnections();
    });
    for (const close of closers) await close().catch((err: unknown) => log.warn({ err }, 'closing failed'));
    process.exit(0);
  };
  process.on('SIGTERM', (signal) => void stop(signal));
  process.on('SIGINT', (signal) => void stop(signal));
}

/**
 * Tries until it works, once a second: for what a service sets up at its first start and cannot work without. The
 * service answers `/readyz` with 503 meanwhile.
 */
export async function untilDone(what: string, log: Logger, attempt: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      log.info({ reason: String(error) }, `${what}: not yet`);
      await delay(1_000);
    }
  }
}
