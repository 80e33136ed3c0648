import { Listr } from 'listr2';
import { relative } from 'node:path';
import { orExit } from '../../../services/shared/runtime/shutdown.ts';
import { askedSystem } from './requested-system.ts';
import { isUp } from '../system/app-processes.ts';
import type { Dapr } from '../programs/dapr.ts';
import { watchForDeaths } from './early-exits.ts';
import { explained } from './error-message.ts';
import { adminEnv, adminOf } from '../system/admin.ts';
import { partsOf } from '../system/infrastructure.ts';
import type { Part } from '../infrastructure/infrastructure-service.ts';
import { demandAlone } from './start-lock.ts';
import { root } from '../machine/paths.ts';
import { demandFreeForServices } from '../configuration/system-ports.ts';
import { portsAt } from '../configuration/ports.ts';
import { prepare, type Prepared } from '../system/prepare.ts';
import { start, waitFor, type Running } from '../machine/processes.ts';
import { speaksRedis } from '../infrastructure/redis.ts';
import { speaksGrpc } from '../infrastructure/scheduler.ts';
import { secretsIn } from '../configuration/secrets.ts';
import { readTemplate } from '../configuration/template.ts';
import { renderTemplate } from '../system/render-template.ts';
import { sayWhere } from './endpoints.ts';
import { answersAsZipkin } from '../infrastructure/zipkin.ts';

/** `npm start`: brings everything up around the real `dapr run -f .`, and takes all of it down again on Ctrl-C. */

const { profile, offset, dataDir, logDir } = await orExit(process, askedSystem);
const ports = portsAt(offset);
const api = `http://localhost:${8080 + offset}`;

/** Everything that was started, in order; it ends the other way round. */
const running: Running[] = [];
let stopping: Promise<void> | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0));

try {
  demandAlone(dataDir);
  // Before what takes long.
  await demandFreeForServices(offset);
  const present = {
    redis: await speaksRedis(ports.redis),
    scheduler: await speaksGrpc(ports.scheduler),
    zipkin: await answersAsZipkin(ports.zipkin),
  };
  const prepared = await prepare(logDir, present, profile);
  await startAll(prepared);
  if (!stopping) sayWhere({ offset, dataDir, profile, zipkin: prepared.zipkin });
} catch (error) {
  if (!stopping) console.error(`\n${explained(error)}`);
  await stop(1);
}

async function startAll({ dapr, zipkin }: Prepared): Promise<void> {
  const zipkinJar = zipkin && 'jar' in zipkin ? zipkin.jar : undefined;
  const parts = partsOf({ dapr, ports, dataDir, logDir, zipkinJar, profile });
  const task = (part: Part) => ({
    title: part.title,
    task: async (_: unknown, shown: { title: string }) => {
      const found = await part.found();
      if (found) shown.title = `${part.title}: ${found}`;
      else keep(await part.start());
    },
  });
  const services = {
    title: 'Services and sidecars (dapr run -f .)',
    task: async (_: unknown, shown: { output: string }) => {
      shown.output = `logs: ${relative(root, logDir)} and .dapr/logs`;
      await startServices(dapr);
    },
  };
  const atOnce = { concurrent: true, registerSignalListeners: false };
  await new Listr(parts.filter(({ canComeLater }) => !canComeLater).map(task), atOnce).run();
  if (stopping) return;
  const later = parts.filter(({ canComeLater }) => canComeLater).map(task);
  await new Listr([services, ...later], atOnce).run();
}

async function startServices(dapr: Dapr): Promise<void> {
  const asCommitted = offset === 0 && !profile;
  const { template, file } = asCommitted
    ? { template: readTemplate(), file: '.' }
    : renderTemplate({ offset, ports, dataDir, profile });
  await demandFreeForServices(offset);
  const demandAllAlive = watchForDeaths(template.apps);
  const run = start('dapr-run', dapr.cli, ['run', '-f', file], {
    logDir,
    cwd: root,
    env: {
      ...adminEnv(adminOf(dataDir)),
      ...secretsIn(dataDir),
      ...dapr.env,
    },
  });
  keep(run);
  void run.ended.then(() => stop(1));
  const sidecars = template.apps.map(({ daprHTTPPort }) => daprHTTPPort);
  const areUp = async () => {
    demandAllAlive();
    return isUp(api, sidecars);
  };
  await waitFor('the services', areUp, { process: run, deadlineMs: 120_000 });
}

/** Notes what was started; once we are stopping, it is stopped at once. */
function keep(one: Running): void {
  running.push(one);
  if (stopping) void one.stop('SIGINT');
  void tellOfEnd(one);
}

async function tellOfEnd({ ended, name, logFile }: Running): Promise<void> {
  if (!(await ended))
    console.error(`\n${name} has exited; see ${logFile}. To start it again, press Ctrl-C and run npm start.`);
}

function stop(code: number): Promise<void> {
  stopping ??= (async () => {
    if (running.length > 0) console.log('\nStopping ...');
    // `dapr run` ends on SIGINT, and takes its services and sidecars along.
    // Where it fails at start, `dapr run` may wait for a sidecar that is no more.
    const graceMs = code === 0 ? 20_000 : 3_000;
    for (const one of running.toReversed()) await one.stop('SIGINT', graceMs);
    process.exit(code);
  })();
  return stopping;
}
