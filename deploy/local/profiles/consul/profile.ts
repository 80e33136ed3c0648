import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { stringifyDocuments, type Files } from '../../configuration/component-files.ts';
import type { Ports } from '../../configuration/ports.ts';
import { secretFile } from '../../configuration/secrets.ts';
import { ensureFolder, root } from '../../machine/paths.ts';
import { startProcess, waitFor, type RunningProcess } from '../../machine/processes.ts';
import { assertPortFree } from '../../machine/tcp-ports.ts';
import { findOrBuild, type GoProgram } from '../../programs/go-build.ts';
import { CONSUL_VERSION } from '../../programs/versions.ts';
import type { Profile } from '../profile.ts';

const TITLE = 'Consul';
const PROFILE_FOLDER = join(root, 'deploy/local/profiles/consul');

const PROGRAM: GoProgram = {
  command: 'consul',
  versionArgs: ['version'],
  // Older versions do not know every setting of agent.hcl.
  oldestVersion: [1, 14],
  module: 'consul',
  version: CONSUL_VERSION,
  source: 'github.com/hashicorp/consul',
  buildTime: 'five minutes',
  installUrl: 'https://developer.hashicorp.com/consul/install',
};

/** Consul instead of the file with the names of services. */
export const consul: Profile = {
  name: 'consul',
  nameServer: TITLE,
  applyOverlay,
  replacements: (ports) => [['localhost:8500', `localhost:${ports.consul}`]],
  programs: [{ title: TITLE, find: (onProgress) => findOrBuild(PROGRAM, onProgress) }],
  infrastructure: (options) => [
    {
      title: TITLE,
      findRunning: () => Promise.resolve(undefined),
      async start() {
        const program = await findOrBuild(PROGRAM, () => {});
        return startConsul({ program, ...options });
      },
    },
  ],
  webPage: ({ ports, dataDir }) => ({
    title: TITLE,
    address: `http://localhost:${ports.consul}  (token: ${secretFile(dataDir, 'consul')})`,
  }),
};

/** Replaces nameResolution in the Configuration. The rest stays. */
function applyOverlay(committed: Files): Files {
  const name = 'configuration.yaml';
  const path = ['spec', 'nameResolution'];
  const configuration = parseDocument(committed.get(name) ?? '');
  const own = parseDocument(readFileSync(join(PROFILE_FOLDER, name), 'utf8'));
  // Deleted first, because the old comment would stay otherwise.
  configuration.deleteIn(path);
  configuration.setIn(path, own.getIn(path));
  return new Map(committed).set(name, stringifyDocuments([configuration]));
}

/** The token that Consul requires, generated at the first start. */
export function findOrCreateConsulToken(dataDir: string): string {
  ensureFolder(dataDir, 'secrets');
  const file = secretFile(dataDir, 'consul');
  if (!existsSync(file)) writeFileSync(file, randomUUID(), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

/** Starts a Consul, with its data in `dataDir`. */
async function startConsul(options: {
  program: string;
  ports: Ports;
  dataDir: string;
  logDir: string;
}): Promise<RunningProcess> {
  const { program, ports, dataDir, logDir } = options;
  for (const port of [ports.consul, ports.consulServer, ports.consulGossip])
    await assertPortFree(port, TITLE);
  const token = findOrCreateConsulToken(dataDir);
  const data = ensureFolder(dataDir, 'consul');
  // In a file, because every user sees the arguments of a process.
  const secret = join(data, 'token.json');
  const tokens = { initial_management: token, agent: token };
  writeFileSync(secret, JSON.stringify({ acl: { tokens } }), { mode: 0o600 });
  const files = [join(PROFILE_FOLDER, 'agent.hcl'), secret];
  const args = [
    'agent',
    ...files.flatMap((file) => ['-config-file', file]),
    `-data-dir=${data}`,
    `-http-port=${ports.consul}`,
    `-server-port=${ports.consulServer}`,
    `-serf-lan-port=${ports.consulGossip}`,
    '-log-level=warn',
  ];
  const running = startProcess('consul', program, args, { logDir });
  await waitFor(TITLE, () => isConsulReady(ports.consul, token), { process: running });
  return running;
}

/** Whether Consul has a leader, accepts the token and has registered its own node. */
async function isConsulReady(port: number, token: string): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/catalog/nodes`, {
    headers: { 'x-consul-token': token },
    signal: AbortSignal.timeout(2_000),
  }).catch(() => undefined);
  return response?.ok === true && z.array(z.unknown()).parse(await response.json()).length > 0;
}
