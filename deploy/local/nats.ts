import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { buildWithGo } from './go-build.ts';
import { jetStream } from './jetstream.ts';
import { cacheDir, folder, NATS } from './paths.ts';
import { demandFree } from './ports.ts';
import { output, start, waitFor, type Running } from './processes.ts';

/** The `nats-server` of the machine, 2.10 or newer, else one that is built with Go, once, into the cache. */
export async function findOrBuildNats(tell: (what: string) => void): Promise<string> {
  const [, major = '0', minor = '0'] = /v(\d+)\.(\d+)/.exec(output('nats-server', '--version') ?? '') ?? [];
  if (Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 10)) return 'nats-server';
  const program = join(folder(cacheDir, `nats-${NATS}`), 'nats-server');
  if (existsSync(program)) return program;
  if (output('go', 'version') === undefined)
    throw new Error(
      'Neither nats-server 2.10 or newer nor Go is on this machine. Install one of them: https://docs.nats.io, https://go.dev.',
    );
  const logFile = join(folder(cacheDir, 'logs'), 'nats-build.log');
  tell(`building nats-server with Go (once; up to a minute), log: ${logFile}`);
  const source = 'github.com/nats-io/nats-server/v2';
  await buildWithGo({ program, module: 'nats', flags: ['-ldflags', '-s -w'], source, logFile });
  return program;
}

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
