import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { toText, type Files } from '../../configuration/component-files.ts';
import { findOrBuild, type GoProgram } from '../../programs/go-build.ts';
import { CONSUL } from '../../programs/versions.ts';
import { folder, root } from '../../machine/paths.ts';
import { demandFree } from '../../machine/tcp-ports.ts';
import type { Ports } from '../../configuration/ports.ts';
import { start, waitFor, type Running } from '../../machine/processes.ts';
import type { Profile } from '../profile.ts';
import { secretFile } from '../../configuration/secrets.ts';

const TITLE = 'Consul';
const OWN_FILES = join(root, 'deploy/local/profiles/consul');

const PROGRAM: GoProgram = {
  command: 'consul',
  versionArgs: ['version'],
  // Older ones do not know all of agent.hcl.
  oldest: [1, 14],
  module: 'consul',
  version: CONSUL,
  source: 'github.com/hashicorp/consul',
  takes: 'five minutes',
  site: 'https://developer.hashicorp.com/consul/install',
};

/** Consul in place of the file of names: profiles/consul, and what it needs around it. */
export const consul: Profile = {
  name: 'consul',
  nameServer: TITLE,
  layOver,
  replacements: (ports) => [['localhost:8500', `localhost:${ports.consul}`]],
  programs: [{ title: TITLE, find: (tell) => findOrBuild(PROGRAM, tell) }],
  parts: (options) => [
    {
      title: TITLE,
      found: () => Promise.resolve(undefined),
      async start() {
        const program = await findOrBuild(PROGRAM, () => {});
        return startConsul({ program, ...options });
      },
    },
  ],
  page: ({ ports, dataDir }) => ({
    title: TITLE,
    where: `http://localhost:${ports.consul}  (token: ${secretFile(dataDir, 'consul')})`,
  }),
};

/** The component files with another nameResolution; the rest of the Configuration stays. */
function layOver(committed: Files): Files {
  const name = 'configuration.yaml';
  const place = ['spec', 'nameResolution'];
  const configuration = parseDocument(committed.get(name) ?? '');
  const own = parseDocument(readFileSync(join(OWN_FILES, name), 'utf8'));
  // Set anew, or the comment on the one that goes would stay.
  configuration.deleteIn(place);
  configuration.setIn(place, own.getIn(place));
  return new Map(committed).set(name, toText([configuration]));
}

/** What whoever asks Consul has to send; made up at the first start. */
export function consulToken(dataDir: string): string {
  folder(dataDir, 'secrets');
  const file = secretFile(dataDir, 'consul');
  if (!existsSync(file)) writeFileSync(file, randomUUID(), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

/** Starts a Consul that keeps its names in `dataDir`. */
async function startConsul(options: {
  program: string;
  ports: Ports;
  dataDir: string;
  logDir: string;
}): Promise<Running> {
  const { program, ports, dataDir, logDir } = options;
  for (const port of [ports.consul, ports.consulServer, ports.consulGossip]) await demandFree(port, TITLE);
  const token = consulToken(dataDir);
  const data = folder(dataDir, 'consul');
  // In a file, as everybody sees the arguments of a process.
  const secret = join(data, 'token.json');
  const tokens = { initial_management: token, agent: token };
  writeFileSync(secret, JSON.stringify({ acl: { tokens } }), { mode: 0o600 });
  const files = [join(OWN_FILES, 'agent.hcl'), secret];
  const args = [
    'agent',
    ...files.flatMap((file) => ['-config-file', file]),
    `-data-dir=${data}`,
    `-http-port=${ports.consul}`,
    `-server-port=${ports.consulServer}`,
    `-serf-lan-port=${ports.consulGossip}`,
    '-log-level=warn',
  ];
  const running = start('consul', program, args, { logDir });
  await waitFor(TITLE, () => knowsItself(ports.consul, token), { process: running });
  return running;
}

/** Whether it has a leader, takes the token and has entered its own node. */
async function knowsItself(port: number, token: string): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/catalog/nodes`, {
    headers: { 'x-consul-token': token },
    signal: AbortSignal.timeout(2_000),
  }).catch(() => undefined);
  return response?.ok === true && z.array(z.unknown()).parse(await response.json()).length > 0;
}
