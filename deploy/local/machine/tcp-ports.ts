import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { findPortHolder, isPortClosing } from './port-holder.ts';

/** Whether a program listens at this port. */
export function isPortInUse(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const answer = (inUse: boolean) => {
      socket.destroy();
      resolve(inUse);
    };
    socket.setTimeout(1_000, () => answer(false));
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

/** Whether a new program could listen at this port. An outgoing connection of another program also holds its port. */
async function isPortFree(port: number): Promise<boolean> {
  // On macOS a program can listen at 127.0.0.1 while another listens at all addresses.
  if (await isPortInUse(port)) return false;
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** How long an exiting program may hold its port. */
const RELEASE_TIMEOUT_MS = 5_000;
/** How long the kernel may hold the port of a closed connection. */
const TIME_WAIT_TIMEOUT_MS = 65_000;

/**
 * Waits until the port is free, for a limited time.
 *
 * @throws Error that names the port, its holder and what to do
 */
export async function assertPortFree(
  port: number,
  user: string,
  timeoutMs = RELEASE_TIMEOUT_MS,
): Promise<void> {
  const startedAt = performance.now();
  const waitedMs = () => performance.now() - startedAt;
  let isReported = false;
  while (!(await isPortFree(port))) {
    if (waitedMs() < timeoutMs) {
      await delay(100);
      continue;
    }
    if (waitedMs() > TIME_WAIT_TIMEOUT_MS || !isPortClosing(port))
      throw new Error(
        `Port ${port} (${user}) is in use by ${findPortHolder(port) ?? 'another program'}. ` +
          `Stop that program, or shift all ports of Sidecart: PORT_OFFSET=1000 npm start`,
      );
    if (!isReported)
      console.log(`Port ${port} (${user}) is held by a closed connection. Waiting up to one minute ...`);
    isReported = true;
    await delay(1_000);
  }
}
