import type { GoProgram } from '../../programs/go-build.ts';
import { jetStream } from './jetstream.ts';
import { folder } from '../../machine/paths.ts';
import { NATS } from '../../programs/versions.ts';
import { demandFree } from '../../machine/tcp-ports.ts';
import { start, waitFor, type Running } from '../../machine/processes.ts';

export const NATS_SERVER: GoProgram = {
  command: 'nats-server',
  versionArgs: ['--version'],
  oldest: [2, 10],
  module: 'nats',
  version: NATS,
  source: 'github.com/nats-io/nats-server/v2',
  takes: 'a minute',
  site: 'https://docs.nats.io',
};

/** Starts a NATS with JetStream on this port that keeps its streams in `dataDir`. */
export async function startNats(options: {
  program: string;
  port: number;
  dataDir: string;
  logDir: string;
}): Promise<Running> {
  const { program, port, dataDir, logDir } = options;
  await demandFree(port, 'NATS');
  const args = ['--addr', '127.0.0.1', '--port', String(port), '--jetstream'];
  const running = start('nats', program, [...args, '--store_dir', folder(dataDir, 'nats')], { logDir });
  await waitFor('NATS', () => speaksJetStream(port), { process: running });
  return running;
}

async function speaksJetStream(port: number): Promise<boolean> {
  try {
    const api = await jetStream(port);
    api.close();
    return true;
  } catch {
    return false;
  }
}
