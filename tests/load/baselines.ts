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
import { closedLoop, median, createBareClient, type Load, type Pace } from './closed-loop.ts';

/** Baselines: the performance of Express and the sidecars alone. The figures of the system are ratios to these. */
export interface Baselines {
  /** A request through Express, its sidecar, another sidecar and Express. */
  chain: (pace: Pace) => Promise<Load>;
  /** Messages published through a sidecar. */
  publish: (pace: Pace) => Promise<Load>;
  /** The median milliseconds from publishing a message to its delivery, one message at a time. */
  publishAndReceive: (times: number) => Promise<number>;
  /** Two documents in one state transaction on SQLite through a sidecar. */
  transaction: (pace: Pace) => Promise<Load>;
  stop: () => Promise<void>;
}

const FRONT_ID = 'bare-front';
const FRONT_PORT_OFFSET = 10;
const BACK_PORT_OFFSET = 11;

/** Starts the bare apps beside a running system, with the same configuration, broker and Zipkin. */
export async function startBaselines(options: { dataDir: string; portOffset: number }): Promise<Baselines> {
  const { portOffset: offset } = options;
  const dataDir = ensureFolder(options.dataDir, 'bare');
  ensureFolder(dataDir, 'state');
  const dapr = await findOrBuildDapr(() => {}, ['scheduler']);
  const running = startProcess('dapr-run', dapr.cli, ['run', '-f', writeTemplate(dataDir, offset)], {
    logDir: ensureFolder(dataDir, 'logs'),
    cwd: dataDir,
    env: { ...dapr.env, ...secretsEnv(dataDir) },
  });
  const front = createBareClient(`http://127.0.0.1:${8080 + FRONT_PORT_OFFSET + offset}`);
  const stop = async () => {
    await front.close();
    await running.stop('SIGINT', 20_000);
  };
  const responds = () =>
    front.get('/chain').then(
      () => true,
      () => false,
    );
  try {
    await waitFor('the baselines', responds, { process: running });
    // Before the subscription is active, the first message may take a whole polling interval of Redis.
    await Promise.race([front.post('/round-trip', {}), delay(20_000, undefined, { ref: false })]);
  } catch (error) {
    await stop();
    throw error;
  }

  const sidecar = createBareClient(`http://127.0.0.1:${3580 + FRONT_PORT_OFFSET + offset}`, {
    'dapr-api-token': readTokens(dataDir, FRONT_ID).DAPR_API_TOKEN,
  });
  const documents = Array.from({ length: 1000 }, () => `document:${randomUUID()}`);
  return {
    chain: (pace) => closedLoop(pace, async () => void (await front.get('/chain'))),
    publish: (pace) =>
      closedLoop(pace, async (number) => {
        await sidecar.post('/v1.0/publish/pubsub/bare.no-subscriber', { number });
      }),
    async publishAndReceive(times) {
      const durationsMs: number[] = [];
      for (let count = 0; count < times; count++) {
        const { ms } = JSON.parse(await front.post('/round-trip', {})) as { ms: number };
        durationsMs.push(ms);
      }
      return median(durationsMs);
    },
    transaction: (pace) =>
      closedLoop(pace, async (number) => {
        const operations = [0, 1].map((index) => ({
          operation: 'upsert',
          request: { key: documents[(number * 2 + index) % documents.length], value: { number, index } },
        }));
        await sidecar.post('/v1.0/state/statestore/transaction', { operations });
      }),
    async stop() {
      await sidecar.close();
      await stop();
    },
  };
}

/** The template of the bare apps: the settings of dapr.yaml, and the components without scopes. */
function writeTemplate(dataDir: string, offset: number): string {
  const { template } = renderTemplate({ offset, ports: portsAt(offset), dataDir });
  const rendered = join(dataDir, 'rendered/components');
  const components = join(dataDir, 'components');
  rmSync(components, { recursive: true, force: true });
  mkdirSync(components);
  for (const name of ['pubsub.yaml', 'state.yaml', 'resiliency.yaml'])
    writeFileSync(join(components, name), withoutScopes(readFileSync(join(rendered, name), 'utf8')));

  const app = (appID: string, portIndex: number) => ({
    appID,
    appDirPath: dataDir,
    command: [
      join(root, 'deploy/local/with-secrets'),
      process.execPath,
      join(root, 'dist/tests/load/bare-app.js'),
    ],
    appPort: 8080 + portIndex + offset,
    daprHTTPPort: 3580 + portIndex + offset,
    daprGRPCPort: 3680 + portIndex + offset,
    daprInternalGRPCPort: 3780 + portIndex + offset,
    metricsPort: 3880 + portIndex + offset,
  });
  const file = join(dataDir, 'dapr.yaml');
  const common = { ...template.common, resourcesPaths: [components] };
  writeFileSync(
    file,
    stringify({
      ...template,
      common,
      apps: [app(FRONT_ID, FRONT_PORT_OFFSET), app('bare-back', BACK_PORT_OFFSET)],
    }),
  );
  return file;
}

function withoutScopes(component: string): string {
  const { scopes: _, ...rest } = parse(component) as {
    scopes?: unknown;
    spec: { metadata?: { name: string }[] };
  };
  const metadata = rest.spec.metadata?.filter(({ name }) => !name.endsWith('Scopes'));
  return stringify(metadata ? { ...rest, spec: { ...rest.spec, metadata } } : rest);
}
