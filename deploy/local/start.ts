import { Listr } from 'listr2';
import { relative } from 'node:path';
import { orStop } from '../../services/shared/run.ts';
import { argumentsOf } from './arguments.ts';
import { isUp } from './app-processes.ts';
import type { Dapr } from './dapr.ts';
import { adminEnv, adminOf, partsOf } from './infrastructure.ts';
import { folder, keepPrivate, root } from './paths.ts';
import { demandFree, portsAt } from './ports.ts';
import { prepare, type Prepared } from './prepare.ts';
import { start, waitFor, type Running } from './processes.ts';
import { profileOf } from './profiles.ts';
import { speaksRedis } from './redis.ts';
import { speaksGrpc } from './scheduler.ts';
import { secretsIn } from './secrets.ts';
import { settings } from './settings.ts';
import { readTemplate, renderTemplate } from './template.ts';
import { answersAsZipkin } from './zipkin.ts';

/** `npm start`: brings everything up around the real `dapr run -f .`, and takes all of it down again on Ctrl-C. */

const { profile, offset } = await orStop(process, () => {
  const { profile: name } = argumentsOf({ profile: { type: 'string' } });
  return { profile: profileOf(name), offset: settings(readTemplate()).PORT_OFFSET ?? 0 };
});
keepPrivate();
const ports = portsAt(offset);
const dataDir = folder(
  root,
  offset === 0 ? '.sidecart' : `.sidecart/offset-${offset}`,
  ...(profile ? [profile.name] : []),
);
const logDir = folder(dataDir, 'logs');
folder(dataDir, 'state');
const api = `http://localhost:${8080 + offset}`;

/** Everything that was started, in order; it ends the other way round. */
const running: Running[] = [];
let stopping: Promise<void> | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0));

try {
  const present = {
    redis: await speaksRedis(ports.redis),
    scheduler: await speaksGrpc(ports.scheduler),
    zipkin: await answersAsZipkin(ports.zipkin),
  };
  const prepared = await prepare(logDir, present, profile);
  await startAll(prepared);
  if (!stopping) sayWhere(prepared.zipkin);
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  await stop(1);
}

async function startAll({ dapr, zipkin }: Prepared): Promise<void> {
  const zipkinJar = zipkin && 'jar' in zipkin ? zipkin.jar : undefined;
  const parts = partsOf({ dapr, ports, dataDir, logDir, zipkinJar, profile }).map((part) => ({
    title: part.title,
    task: async (_: unknown, task: { title: string }) => {
      const found = await part.found();
      if (found) task.title = `${part.title}: ${found}`;
      else keep(await part.start());
    },
  }));
  const services = {
    title: 'Services and sidecars (dapr run -f .)',
    task: async (_: unknown, task: { output: string }) => {
      task.output = `logs: ${relative(root, logDir)} and .dapr/logs`;
      await startServices(dapr);
    },
  };
  await new Listr(parts, { concurrent: true, registerSignalListeners: false }).run();
  if (!stopping) await new Listr([services], { registerSignalListeners: false }).run();
}

async function startServices(dapr: Dapr): Promise<void> {
  const asCommitted = offset === 0 && !profile;
  const { template, file } = asCommitted
    ? { template: readTemplate(), file: '.' }
    : renderTemplate({ offset, ports, dataDir, profile });
  for (const app of template.apps)
    for (const port of [
      app.appPort,
      app.daprHTTPPort,
      app.daprGRPCPort,
      app.daprInternalGRPCPort,
      app.metricsPort,
    ])
      await demandFree(port, app.appID);
  await demandFree(ports.grpc, 'gateway, gRPC');
  await demandFree(ports.operator, 'gateway, operators');
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
  await waitFor('the services are ready', () => isUp(api), { process: run, deadlineMs: 120_000 });
}

/** Notes what was started; once we are stopping, it is stopped at once. */
function keep(one: Running): void {
  running.push(one);
  if (stopping) void one.stop('SIGINT');
  void tellOfEnd(one);
}

async function tellOfEnd({ ended, name, logFile }: Running): Promise<void> {
  if (!(await ended))
    console.error(`\n${name} has ended; see ${logFile}. To have it back: Ctrl-C, npm start.`);
}

function sayWhere(zipkin: Prepared['zipkin']): void {
  const traces = zipkin && 'missing' in zipkin ? zipkin.missing : `http://localhost:${ports.zipkin}`;
  const { email, password, isMadeUp } = adminOf(dataDir);
  const page = profile?.page?.({ ports, dataDir });
  console.log(`
  API      ${api}
  Docs     ${api}/docs
  gRPC     localhost:${ports.grpc}
  Traces   ${traces}
  Mails    http://localhost:${ports.mailWeb}${page ? `\n  ${page.title.padEnd(8)} ${page.where}` : ''}
  Admin    ${email}  ${isMadeUp ? password : '(with the password of ADMIN_PASSWORD)'}

  Try it: npm run demo        Stop: Ctrl-C
`);
}

function stop(code: number): Promise<void> {
  stopping ??= (async () => {
    if (running.length > 0) console.log('\nStopping ...');
    // `dapr run` ends on SIGINT, and takes its services and sidecars along.
    for (const one of running.toReversed()) await one.stop('SIGINT', 20_000);
    process.exit(code);
  })();
  return stopping;
}
