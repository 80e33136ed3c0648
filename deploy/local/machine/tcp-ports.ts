import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { holderOf, isClosing } from './port-holder.ts';

/** Whether something listens there. */
export function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const answer = (taken: boolean) => {
      socket.destroy();
      resolve(taken);
    };
    socket.setTimeout(1_000, () => answer(false));
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

/** Whether a program of ours could listen there. An outgoing connection of another program holds its port, too. */
async function isFree(port: number): Promise<boolean> {
  // On macOS one may listen at 127.0.0.1 beside somebody who listens at all addresses.
  if (await isTaken(port)) return false;
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A program that is just ending has its port for so long at most. */
const PATIENCE_MS = 5_000;
/** And the kernel, for a connection that is over. */
const CLOSING_MS = 65_000;

/**
 * Waits for a moment where the port is held.
 *
 * @throws Error that says which port is taken, by whom, and what to do
 */
export async function demandFree(port: number, what: string, patienceMs = PATIENCE_MS): Promise<void> {
  const begun = performance.now();
  const waitedMs = () => performance.now() - begun;
  let isSaid = false;
  while (!(await isFree(port))) {
    if (waitedMs() < patienceMs) {
      await delay(100);
      continue;
    }
    if (waitedMs() > CLOSING_MS || !isClosing(port))
      throw new Error(
        `Port ${port} (${what}) is in use by ${holderOf(port) ?? 'another program'}. ` +
          `Stop that program, or shift all ports of Sidecart: PORT_OFFSET=1000 npm start`,
      );
    if (!isSaid)
      console.log(`Port ${port} (${what}) is held by a closed connection. Waiting up to one minute ...`);
    isSaid = true;
    await delay(1_000);
  }
}
