import { relative } from 'node:path';
import { Listr } from 'listr2';
import { orExit } from '../../../services/shared/runtime/shutdown.ts';
import { portsAt } from '../configuration/ports.ts';
import { secretsEnv } from '../configuration/secrets.ts';
import { assertServicePortsFree } from '../configuration/system-ports.ts';
import { readTemplate } from '../configuration/template.ts';
import type { InfrastructureService } from '../infrastructure/infrastructure-service.ts';
import { isRedis } from '../infrastructure/redis.ts';
import { isGrpc } from '../infrastructure/scheduler.ts';
import { isZipkin } from '../infrastructure/zipkin.ts';
import { root } from '../machine/paths.ts';
import { startProcess, waitFor, type RunningProcess } from '../machine/processes.ts';
import type { Dapr } from '../programs/dapr.ts';
import { adminEnv, findOrCreateAdmin } from '../system/admin.ts';
import { findMissing } from '../system/app-processes.ts';
import { infrastructureFor } from '../system/infrastructure.ts';
import { preparePrograms, type PreparedPrograms } from '../system/prepare.ts';
import { localScrapeTargets } from '../system/scrape-targets.ts';
import { renderTemplate } from '../system/render-template.ts';
import { watchForExits } from './early-exits.ts';
import { printEndpoints } from './endpoints.ts';
import { explainError } from './error-message.ts';
import { resolveRequestedSystem } from './requested-system.ts';
import { lockDataFolder } from './start-lock.ts';

/** `npm start`: starts the infrastructure and the real `dapr run -f .`, and stops both on Ctrl-C. */

const { profile, observability, twins, offset, dataDir, logDir } = await orExit(
  process,
  resolveRequestedSystem,
);
const ports = portsAt(offset);
const api = `http://localhost:${8080 + offset}`;

/** The started processes. They stop in reverse order. */
const running: RunningProcess[] = [];
let stopping: Promise<void> | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0));

try {
  lockDataFolder(dataDir);
  // Before the long steps.
  await assertServicePortsFree(offset);
  const found = {
    redis: await isRedis(ports.redis),
    scheduler: await isGrpc(ports.scheduler),
    placement: await isGrpc(ports.placement),
    zipkin: await isZipkin(ports.zipkin),
  };
  const programs = await preparePrograms(logDir, found, { profile, observability, twins });
  await startSystem(programs);
  if (!stopping) printEndpoints({ offset, dataDir, profile, observability, zipkin: programs.zipkin });
} catch (error) {
  if (!stopping) console.error(`\n${explainError(error)}`);
  await stop(1);
}

async function startSystem({ dapr, zipkin, commands }: PreparedPrograms): Promise<void> {
  const zipkinJar = zipkin && 'jar' in zipkin ? zipkin.jar : undefined;
  const scrapeTargets = observability ? localScrapeTargets(offset) : undefined;
  const options = { dapr, ports, dataDir, logDir, zipkinJar, profile, scrapeTargets };
  const infrastructure = infrastructureFor(options);
  const task = (service: InfrastructureService) => ({
    title: service.title,
    task: async (_: unknown, shown: { title: string }) => {
      const reused = await service.findRunning();
      if (reused) shown.title = `${service.title}: ${reused}`;
      else onStarted(await service.start());
    },
  });
  const services = {
    title: 'Services and sidecars (dapr run -f .)',
    task: async (_: unknown, shown: { output: string }) => {
      shown.output = `logs: ${relative(root, logDir)} and .dapr/logs`;
      await startServices(dapr, commands);
    },
  };
  const concurrently = { concurrent: true, registerSignalListeners: false };
  await new Listr(infrastructure.filter(({ canStartLater }) => !canStartLater).map(task), concurrently).run();
  if (stopping) return;
  const later = infrastructure.filter(({ canStartLater }) => canStartLater).map(task);
  await new Listr([services, ...later], concurrently).run();
}

async function startServices(dapr: Dapr, commands: PreparedPrograms['commands']): Promise<void> {
  const usesCommittedFiles = offset === 0 && !profile && twins.length === 0;
  const { template, file } = usesCommittedFiles
    ? { template: readTemplate(), file: '.' }
    : renderTemplate({ offset, ports, dataDir, profile, commands });
  await assertServicePortsFree(offset);
  const assertAllRunning = watchForExits(template.apps);
  const run = startProcess('dapr-run', dapr.cli, ['run', '-f', file], {
    logDir,
    cwd: root,
    env: {
      ...adminEnv(findOrCreateAdmin(dataDir)),
      ...secretsEnv(dataDir),
      ...dapr.env,
      // For the sidecars.
      ZIPKIN_ENDPOINT: `http://localhost:${ports.zipkin}/api/v2/spans`,
    },
  });
  onStarted(run);
  void run.exited.then(() => stop(1));
  const sidecars = template.apps.map(({ daprHTTPPort }) => daprHTTPPort);
  const isReady = async () => {
    assertAllRunning();
    return (await findMissing(api, sidecars)) ?? true;
  };
  await waitFor('the services', isReady, { process: run, timeoutMs: 120_000 });
}

/** Registers a started process. If the system already stops, the process stops at once. */
function onStarted(one: RunningProcess): void {
  running.push(one);
  if (stopping) void one.stop('SIGINT');
  void reportExit(one);
}

async function reportExit({ exited, name, logFile }: RunningProcess): Promise<void> {
  if (!(await exited))
    console.error(`\n${name} has exited; see ${logFile}. To start it again, press Ctrl-C and run npm start.`);
}

function stop(code: number): Promise<void> {
  stopping ??= (async () => {
    if (running.length > 0) console.log('\nStopping ...');
    // On SIGINT, `dapr run` stops its services and sidecars.
    // After a failed start, it may wait for a sidecar that has exited already.
    const graceMs = code === 0 ? 20_000 : 3_000;
    for (const one of running.toReversed()) await one.stop('SIGINT', graceMs);
    process.exit(code);
  })();
  return stopping;
}
