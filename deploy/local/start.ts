import { Listr } from 'listr2';
import { join, relative } from 'node:path';
import type { Dapr } from './dapr.ts';
import { adminOf, partsOf, secretEnv } from './infrastructure.ts';
import { folder, root } from './paths.ts';
import { demandFree, portsAt } from './ports.ts';
import { prepare } from './prepare.ts';
import { start, waitFor, type Running } from './processes.ts';
import { readTemplate, renderTemplate } from './template.ts';

/** `npm start`: brings everything up around the real `dapr run -f .`, and takes all of it down again on Ctrl-C. */

const offset = Number(process.env['PORT_OFFSET'] ?? 0);
const ports = portsAt(offset);
const dataDir = folder(root, offset === 0 ? '.sidecart' : `.sidecart/offset-${offset}`);
const logDir = folder(dataDir, 'logs');
folder(dataDir, 'state');
const api = `http://localhost:${8080 + offset}`;

/** Everything that was started, in order; it ends the other way round. */
const running: Running[] = [];
let stopping: Promise<void> | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void stop(0));

try {
  const { dapr, zipkin } = await prepare(logDir);
  await startAll(dapr, 'jar' in zipkin ? zipkin.jar : undefined);
  if (!stopping) sayWhere('jar' in zipkin ? `http://localhost:${ports.zipkin}` : zipkin.missing);
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  await stop(1);
}

async function startAll(dapr: Dapr, zipkinJar: string | undefined): Promise<void> {
  const parts = partsOf({ dapr, ports, dataDir, logDir, zipkinJar });
  const tasks = new Listr(
    [
      ...parts.map((part) => ({
        title: part.title,
        task: async (_: unknown, task: { title: string }) => {
          const found = await part.found();
          if (found) task.title = `${part.title}: ${found}`;
          else keep(await part.start());
        },
      })),
      {
        title: 'Services and sidecars (dapr run -f .)',
        task: async (_: unknown, task: { output: string }) => {
          task.output = `logs: ${relative(root, logDir)} and .dapr/logs`;
          await startServices(dapr);
        },
      },
    ],
    { exitOnError: true, registerSignalListeners: false },
  );
  await tasks.run();
}

async function startServices(dapr: Dapr): Promise<void> {
  const template = offset === 0 ? readTemplate() : renderTemplate({ offset, ports, dataDir }).template;
  for (const app of template.apps)
    for (const port of [
      app.appPort,
      app.daprHTTPPort,
      app.daprGRPCPort,
      app.daprInternalGRPCPort,
      app.metricsPort,
    ])
      await demandFree(port, app.appID);
  const file = offset === 0 ? '.' : join(dataDir, 'rendered/dapr.yaml');
  const run = start('dapr-run', dapr.cli, ['run', '-f', file], {
    logDir,
    cwd: root,
    env: {
      ...secretEnv(adminOf(dataDir)),
      ...(dapr.runtimePath ? { DAPR_RUNTIME_PATH: dapr.runtimePath } : {}),
    },
    onUnexpectedEnd,
  });
  keep(run);
  const isUp = async () => {
    const response = await fetch(`${api}/health`, { signal: AbortSignal.timeout(3_000) }).catch(
      () => undefined,
    );
    const health = (await response?.json().catch(() => undefined)) as { status?: string } | undefined;
    return health?.status === 'ok';
  };
  await waitFor('the services are ready', isUp, { process: run, deadlineMs: 120_000 });
}

/** Notes what was started; once we are stopping, it is stopped at once. */
function keep(one: Running): void {
  running.push(one);
  if (stopping) void one.stop('SIGINT');
}

function onUnexpectedEnd({ name, logFile }: Running): void {
  if (!stopping) console.error(`\n${name} has ended; see ${logFile}. Stopping the rest.`);
  void stop(1);
}

function sayWhere(zipkin: string): void {
  const { email, password } = adminOf(dataDir);
  console.log(`
  API      ${api}
  Docs     ${api}/docs
  Traces   ${zipkin}
  Mails    http://localhost:${ports.mailWeb}
  Admin    ${email}  ${password}

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
