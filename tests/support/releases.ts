import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DAPR_CLI_VERSION, DAPR_RUNTIME_VERSION } from '../../deploy/local/programs/versions.ts';

/** A local copy of the page of Dapr's releases. */
export interface Releases {
  url: string;
  /** The request handlers by path, which a test may replace. Other paths get 404. */
  handlers: Map<string, RequestListener>;
  archives: Record<ReleasedProgram, Buffer>;
  /** The paths of all requests so far. */
  requestedPaths: string[];
  stop: () => Promise<void>;
}

const ARCHITECTURE = { x64: 'amd64', arm64: 'arm64', arm: 'arm' }[process.arch as string];
const DOWNLOAD_PATHS = {
  daprd: `/dapr/releases/download/v${DAPR_RUNTIME_VERSION}/daprd`,
  scheduler: `/dapr/releases/download/v${DAPR_RUNTIME_VERSION}/scheduler`,
  placement: `/dapr/releases/download/v${DAPR_RUNTIME_VERSION}/placement`,
  dapr: `/cli/releases/download/v${DAPR_CLI_VERSION}/dapr`,
};
export type ReleasedProgram = keyof typeof DOWNLOAD_PATHS;

export const downloadPathOf = (name: ReleasedProgram): string =>
  `${DOWNLOAD_PATHS[name]}_${process.platform}_${ARCHITECTURE}.tar.gz`;

/** The output of a released program. */
export const outputOf = (name: ReleasedProgram): string => `this is ${name}`;

/** Serves an archive and its checksum for each program. */
export async function serveReleases(): Promise<Releases> {
  const handlers = new Map<string, RequestListener>();
  const archives = {
    daprd: archiveOf('daprd'),
    scheduler: archiveOf('scheduler'),
    placement: archiveOf('placement'),
    dapr: archiveOf('dapr'),
  };
  for (const [name, archive] of Object.entries(archives) as [ReleasedProgram, Buffer][]) {
    const sum = createHash('sha256').update(archive).digest('hex');
    handlers.set(downloadPathOf(name), (_, response) => void response.end(archive));
    handlers.set(
      `${downloadPathOf(name)}.sha256`,
      (_, response) => void response.end(`${sum} *${downloadPathOf(name).split('/').at(-1)}\n`),
    );
  }
  const requestedPaths: string[] = [];
  const server = createServer((incoming, response) => {
    const path = incoming.url ?? '';
    requestedPaths.push(path);
    const handler = handlers.get(path);
    if (handler) handler(incoming, response);
    else response.writeHead(404).end('Not Found');
  });
  return { ...(await listen(server)), handlers, archives, requestedPaths };
}

function archiveOf(name: ReleasedProgram): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'sidecart-archive-'));
  try {
    const content = join(directory, 'content');
    mkdirSync(content);
    writeFileSync(join(content, name), `#!/bin/sh\necho ${outputOf(name)}\n`);
    chmodSync(join(content, name), 0o755);
    spawnSync('tar', ['-czf', join(directory, 'archive'), '-C', content, name]);
    return readFileSync(join(directory, 'archive'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Starts a server on a free loopback port. `stop` also closes tunnels, which the server does not track. */
export async function listen(server: Server): Promise<{ url: string; stop: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
