import { ensureFolder } from '../../machine/paths.ts';
import { startProcess, waitFor, type RunningProcess } from '../../machine/processes.ts';
import { assertPortFree } from '../../machine/tcp-ports.ts';
import type { GoProgram } from '../../programs/go-build.ts';
import { NATS_VERSION } from '../../programs/versions.ts';
import { connectJetStream } from './jetstream.ts';

export const NATS_PROGRAM: GoProgram = {
  command: 'nats-server',
  versionArgs: ['--version'],
  oldestVersion: [2, 10],
  module: 'nats',
  version: NATS_VERSION,
  source: 'github.com/nats-io/nats-server/v2',
  buildTime: 'a minute',
  installUrl: 'https://docs.nats.io',
};

/** Starts a NATS with JetStream on this port, with its streams in `dataDir`. */
export async function startNats(options: {
  program: string;
  port: number;
  dataDir: string;
  logDir: string;
}): Promise<RunningProcess> {
  const { program, port, dataDir, logDir } = options;
  await assertPortFree(port, 'NATS');
  const args = ['--addr', '127.0.0.1', '--port', String(port), '--jetstream'];
  const running = startProcess('nats', program, [...args, '--store_dir', ensureFolder(dataDir, 'nats')], {
    logDir,
  });
  await waitFor('NATS', () => isJetStream(port), { process: running });
  return running;
}

async function isJetStream(port: number): Promise<boolean> {
  try {
    const api = await connectJetStream(port);
    api.close();
    return true;
  } catch {
    return false;
  }
}
