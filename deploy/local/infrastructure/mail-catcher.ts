import { join } from 'node:path';
import { root } from '../machine/paths.ts';
import { demandFree, isTaken } from '../machine/tcp-ports.ts';
import type { Ports } from '../configuration/ports.ts';
import { start, waitFor, type Running } from '../machine/processes.ts';

/** Starts the mail catcher: it takes every mail and shows it on a web page, and sends none on. */
export async function startMailCatcher(options: { ports: Ports; logDir: string }): Promise<Running> {
  const { ports, logDir } = options;
  await demandFree(ports.smtp, 'mail catcher, SMTP');
  await demandFree(ports.mailWeb, 'mail catcher, web page');
  const local = ['--ip', '127.0.0.1', '--web-ip', '127.0.0.1'];
  const args = ['--smtp', String(ports.smtp), '--web', String(ports.mailWeb), ...local];
  const running = start('mail', process.execPath, [join(root, 'node_modules/maildev/bin/maildev'), ...args], {
    logDir,
  });
  const listens = async () => (await isTaken(ports.smtp)) && (await isTaken(ports.mailWeb));
  await waitFor('the mail catcher', listens, { process: running });
  return running;
}
