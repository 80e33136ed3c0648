import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DAPR_CLI_VERSION, DAPR_RUNTIME_VERSION } from '../../deploy/local/programs/versions.ts';

/** The page of Dapr's releases, on this machine. */
export interface Releases {
  url: string;
  /** What is answered, by path; a test changes it. Nothing of that name is answered with 404. */
  answers: Map<string, RequestListener>;
  archives: Record<Published, Buffer>;
  /** The paths that were asked for. */
  asked: string[];
  stop: () => Promise<void>;
}

const ARCHITECTURE = { x64: 'amd64', arm64: 'arm64', arm: 'arm' }[process.arch as string];
const PLACES = {
  daprd: `/dapr/releases/download/v${DAPR_RUNTIME_VERSION}/daprd`,
  scheduler: `/dapr/releases/download/v${DAPR_RUNTIME_VERSION}/scheduler`,
  dapr: `/cli/releases/download/v${DAPR_CLI_VERSION}/dapr`,
};
export type Published = keyof typeof PLACES;

export const pathOf = (name: Published): string =>
  `${PLACES[name]}_${process.platform}_${ARCHITECTURE}.tar.gz`;

/** What a published program prints here. */
export const printedBy = (name: Published): string => `this is ${name}`;

/** Serves all programs, as archives with their checksums. */
export async function serveReleases(): Promise<Releases> {
  const answers = new Map<string, RequestListener>();
  const archives = { daprd: archiveOf('daprd'), scheduler: archiveOf('scheduler'), dapr: archiveOf('dapr') };
  for (const [name, archive] of Object.entries(archives) as [Published, Buffer][]) {
    const sum = createHash('sha256').update(archive).digest('hex');
    answers.set(pathOf(name), (_, response) => void response.end(archive));
    answers.set(
      `${pathOf(name)}.sha256`,
      (_, response) => void response.end(`${sum} *${pathOf(name).split('/').at(-1)}\n`),
    );
  }
  const asked: string[] = [];
  const server = createServer((incoming, response) => {
    const path = incoming.url ?? '';
    asked.push(path);
    const answer = answers.get(path);
    if (answer) answer(incoming, response);
    else response.writeHead(404).end('Not Found');
  });
  return { ...(await listen(server)), answers, archives, asked };
}

function archiveOf(name: Published): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'sidecart-archive-'));
  try {
    const content = join(directory, 'content');
    mkdirSync(content);
    writeFileSync(join(content, name), `#!/bin/sh\necho ${printedBy(name)}\n`);
    chmodSync(join(content, name), 0o755);
    spawnSync('tar', ['-czf', join(directory, 'archive'), '-C', content, name]);
    return readFileSync(join(directory, 'archive'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Starts a server on any port of the loopback. Stopping it ends tunnels, too, which it no longer counts as its own. */
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
