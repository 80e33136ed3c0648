import { join } from 'node:path';
import type { Ports } from '../configuration/ports.ts';
import { root } from '../machine/paths.ts';
import { startProcess, waitFor, type RunningProcess } from '../machine/processes.ts';
import { assertPortFree, isPortInUse } from '../machine/tcp-ports.ts';

/** Starts the mail catcher. It shows every e-mail on a web page and forwards none. */
export async function startMailCatcher(options: { ports: Ports; logDir: string }): Promise<RunningProcess> {
  const { ports, logDir } = options;
  await assertPortFree(ports.smtp, 'mail catcher, SMTP');
  await assertPortFree(ports.mailWeb, 'mail catcher, web page');
  const local = ['--ip', '127.0.0.1', '--web-ip', '127.0.0.1'];
  const args = ['--smtp', String(ports.smtp), '--web', String(ports.mailWeb), ...local];
  const running = startProcess(
    'mail',
    process.execPath,
    [join(root, 'node_modules/maildev/bin/maildev'), ...args],
    {
      logDir,
    },
  );
  const listens = async () => (await isPortInUse(ports.smtp)) && (await isPortInUse(ports.mailWeb));
  await waitFor('the mail catcher', listens, { process: running });
  return running;
}
