import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { findOrBuildDapr } from '../../deploy/local/programs/dapr.ts';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { portsAt } from '../../deploy/local/configuration/ports.ts';
import { startProcess, waitFor } from '../../deploy/local/machine/processes.ts';
import { secretsEnv, readTokens } from '../../deploy/local/configuration/secrets.ts';
import { renderTemplate } from '../../deploy/local/system/render-template.ts';
import { closedLoop, median, openDoor, type Load, type Pace } from './closed-loop.ts';

/** What the parts take that every service is built on; the figures of the system are measured against these. */
export interface Baselines {
  /** Client, Express, its sidecar, the other's sidecar, Express. */
  chain: (pace: Pace) => Promise<Load>;
  /** Messages handed to the broker through a sidecar. */
  publish: (pace: Pace) => Promise<Load>;
  /** One message at a time, from its publishing until the subscriber has it. Median, milliseconds. */
  publishAndReceive: (times: number) => Promise<number>;
  /** Two documents in one state transaction on SQLite through a sidecar. */
  transaction: (pace: Pace) => Promise<Load>;
  stop: () => Promise<void>;
}

const FRONT_ID = 'bare-front';
const FRONT = 10;
const BACK = 11;

/** Starts the bare apps beside a running system: same `dapr run`, configuration, broker, Zipkin; no service of ours. */
export async function startBaselines(options: { dataDir: string; portOffset: number }): Promise<Baselines> {
  const { portOffset: offset } = options;
  const dataDir = ensureFolder(options.dataDir, 'bare');
  ensureFolder(dataDir, 'state');
  const dapr = await findOrBuildDapr(() => {}, true);
  const running = startProcess('dapr-run', dapr.cli, ['run', '-f', writeTemplate(dataDir, offset)], {
    logDir: ensureFolder(dataDir, 'logs'),
    cwd: dataDir,
    env: { ...dapr.env, ...secretsEnv(dataDir) },
  });
  const front = openDoor(`http://127.0.0.1:${8080 + FRONT + offset}`);
  const stop = async () => {
    await front.close();
    await running.stop('SIGINT', 20_000);
  };
  const answers = () =>
    front.get('/chain').then(
      () => true,
      () => false,
    );
  try {
    await waitFor('the baselines', answers, { process: running });
    // Until the subscription stands, the first message may take as long as Redis is asked for news.
    await Promise.race([front.post('/round-trip', {}), delay(20_000, undefined, { ref: false })]);
  } catch (error) {
    await stop();
    throw error;
  }

  const sidecar = openDoor(`http://127.0.0.1:${3580 + FRONT + offset}`, {
    'dapr-api-token': readTokens(dataDir, FRONT_ID).DAPR_API_TOKEN,
  });
  const documents = Array.from({ length: 1000 }, () => `document:${randomUUID()}`);
  return {
    chain: (pace) => closedLoop(pace, async () => void (await front.get('/chain'))),
    publish: (pace) =>
      closedLoop(pace, async (number) => {
        await sidecar.post('/v1.0/publish/pubsub/bare.unheard', { number });
      }),
    async publishAndReceive(times) {
      const taken: number[] = [];
      for (let count = 0; count < times; count++) {
        const { ms } = JSON.parse(await front.post('/round-trip', {})) as { ms: number };
        taken.push(ms);
      }
      return median(taken);
    },
    transaction: (pace) =>
      closedLoop(pace, async (number) => {
        const operations = [0, 1].map((one) => ({
          operation: 'upsert',
          request: { key: documents[(number * 2 + one) % documents.length], value: { number, one } },
        }));
        await sidecar.post('/v1.0/state/statestore/transaction', { operations });
      }),
    async stop() {
      await sidecar.close();
      await stop();
    },
  };
}

/** The template of the bare apps: dapr.yaml's settings, the components without the scopes that name our services. */
function writeTemplate(dataDir: string, offset: number): string {
  const { template } = renderTemplate({ offset, ports: portsAt(offset), dataDir });
  const rendered = join(dataDir, 'rendered/components');
  const components = join(dataDir, 'components');
  rmSync(components, { recursive: true, force: true });
  mkdirSync(components);
  for (const name of ['pubsub.yaml', 'state.yaml', 'resiliency.yaml'])
    writeFileSync(join(components, name), unscoped(readFileSync(join(rendered, name), 'utf8')));

  const app = (appID: string, place: number) => ({
    appID,
    appDirPath: dataDir,
    command: [
      join(root, 'deploy/local/with-secrets'),
      process.execPath,
      join(root, 'dist/tests/load/bare-app.js'),
    ],
    appPort: 8080 + place + offset,
    daprHTTPPort: 3580 + place + offset,
    daprGRPCPort: 3680 + place + offset,
    daprInternalGRPCPort: 3780 + place + offset,
    metricsPort: 3880 + place + offset,
  });
  const file = join(dataDir, 'dapr.yaml');
  const common = { ...template.common, resourcesPaths: [components] };
  writeFileSync(
    file,
    stringify({ ...template, common, apps: [app(FRONT_ID, FRONT), app('bare-back', BACK)] }),
  );
  return file;
}

function unscoped(component: string): string {
  const { scopes: _, ...rest } = parse(component) as {
    scopes?: unknown;
    spec: { metadata?: { name: string }[] };
  };
  const metadata = rest.spec.metadata?.filter(({ name }) => !name.endsWith('Scopes'));
  return stringify(metadata ? { ...rest, spec: { ...rest.spec, metadata } } : rest);
}
