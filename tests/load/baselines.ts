import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { findOrBuildDapr } from '../../deploy/local/programs/dapr.ts';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { portsAt } from '../../deploy/local/configuration/ports.ts';
import { startProcess, waitFor } from '../../deploy/local/machine/processes.ts';
import { secretsEnv } from '../../deploy/local/configuration/secrets.ts';
import { renderTemplate } from '../../deploy/local/system/render-template.ts';
import { closedLoop, median, createBareClient, type Load, type Pace } from './closed-loop.ts';
import { totalCpuMs } from './cost.ts';
import { cpuMsBetween, usage } from './processes.ts';

/** Baselines: the performance of Express and the sidecars alone. The figures of the system are ratios to these. */
export interface Baselines {
  /** A request through Express, its sidecar, another sidecar and Express. */
  chain: (pace: Pace) => Promise<ChainLoad>;
  /** Requests that look up a price in another service, store a document and publish an event. */
  lookUpStorePublish: (pace: Pace) => Promise<Load>;
  /** Workflows of five empty activities, run to their ends. */
  workflow: (pace: Pace) => Promise<Load>;
  /** The median milliseconds from publishing a message to its delivery, one message at a time. */
  publishAndReceive: (times: number) => Promise<number>;
  stop: () => Promise<void>;
}

export interface ChainLoad extends Load {
  /** The processor time of both apps and both sidecars, per request. */
  cpuMs: number;
}

/** The offsets of the ports of each app. */
const FRONT_PORT_OFFSET = 10;
const BACK_PORT_OFFSET = 11;
const WORKFLOW_PORT_OFFSET = 12;

/** Starts the bare apps beside a running system, with the same configuration and its infrastructure. */
export async function startBaselines(options: { dataDir: string; portOffset: number }): Promise<Baselines> {
  const { portOffset: offset } = options;
  const dataDir = ensureFolder(options.dataDir, 'bare');
  ensureFolder(dataDir, 'state');
  const dapr = await findOrBuildDapr(() => {}, []);
  const logDir = ensureFolder(dataDir, 'logs');
  const running = startProcess('dapr-run', dapr.cli, ['run', '-f', writeTemplate(dataDir, offset)], {
    logDir,
    cwd: dataDir,
    env: { ...dapr.env, ...secretsEnv(dataDir) },
  });
  const front = createBareClient(`http://127.0.0.1:${8080 + FRONT_PORT_OFFSET + offset}`);
  const workflows = createBareClient(`http://127.0.0.1:${8080 + WORKFLOW_PORT_OFFSET + offset}`);
  const stop = async () => {
    await Promise.all([front.close(), workflows.close()]);
    await running.stop('SIGINT', 20_000);
  };
  const responds = () =>
    Promise.all([front.get('/chain'), workflows.post('/workflow', {})]).then(
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

  return {
    async chain(pace) {
      const before = usage();
      const load = await closedLoop(pace, async () => void (await front.get('/chain')));
      const cpuMs = totalCpuMs(cpuMsBetween(before, usage()), (name) => name.startsWith('bare-'));
      return { ...load, cpuMs: cpuMs / load.count };
    },
    lookUpStorePublish: (pace) =>
      closedLoop(pace, async (count) => {
        await front.post('/look-up-store-publish', { product_id: `bench-${count % 1000}`, quantity: 1 });
      }),
    workflow: (pace) => closedLoop(pace, async () => void (await workflows.post('/workflow', {}))),
    async publishAndReceive(times) {
      const durationsMs: number[] = [];
      for (let count = 0; count < times; count++) {
        const { ms } = JSON.parse(await front.post('/round-trip', {})) as { ms: number };
        durationsMs.push(ms);
      }
      return median(durationsMs);
    },
    stop,
  };
}

/** The template of the bare apps: the settings of dapr.yaml, and the components without scopes. */
function writeTemplate(dataDir: string, offset: number): string {
  const ports = portsAt(offset);
  // Under load, the system samples few requests.
  const { template } = renderTemplate({ offset, ports, dataDir, untraced: true });
  const rendered = join(dataDir, 'rendered/components');
  const components = join(dataDir, 'components');
  rmSync(components, { recursive: true, force: true });
  mkdirSync(components);
  for (const name of ['pubsub.yaml', 'state.yaml', 'resiliency.yaml'])
    writeFileSync(join(components, name), openToBaselines(readFileSync(join(rendered, name), 'utf8')));

  const app = (appID: string, program: string, portIndex: number) => ({
    appID,
    appDirPath: dataDir,
    command: [
      join(root, 'deploy/local/with-secrets'),
      process.execPath,
      join(root, `dist/tests/load/${program}.js`),
      // Names the process in the report.
      appID,
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
      apps: [
        app('bare-front', 'bare-app', FRONT_PORT_OFFSET),
        app('bare-back', 'bare-app', BACK_PORT_OFFSET),
        {
          ...app('bare-workflow', 'workflow-app', WORKFLOW_PORT_OFFSET),
          placementHostAddress: `localhost:${ports.placement}`,
        },
      ],
    }),
  );
  return file;
}

/** A component or policy without scopes. A state store also keeps the workflows. */
function openToBaselines(resource: string): string {
  const { scopes: _, ...rest } = resourceSchema.parse(parse(resource));
  const metadata = rest.spec.metadata?.filter(({ name }) => !name.endsWith('Scopes')) ?? [];
  if (rest.spec.type?.startsWith('state.')) metadata.push({ name: 'actorStateStore', value: 'true' });
  return stringify(metadata.length > 0 ? { ...rest, spec: { ...rest.spec, metadata } } : rest);
}

const resourceSchema = z.looseObject({
  scopes: z.array(z.string()).optional(),
  spec: z.looseObject({
    type: z.string().optional(),
    metadata: z.array(z.looseObject({ name: z.string() })).optional(),
  }),
});
