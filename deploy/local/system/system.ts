import { join } from 'node:path';
import { portsAt } from '../configuration/ports.ts';
import { findOrInstallPrometheus } from '../infrastructure/prometheus.ts';
import { findOrInstallRedis } from '../infrastructure/redis.ts';
import { findOrDownloadZipkin } from '../infrastructure/zipkin.ts';
import { ensureFolder, restrictFileAccess, root } from '../machine/paths.ts';
import { waitFor } from '../machine/processes.ts';
import { assertPortFree } from '../machine/tcp-ports.ts';
import { findProfile } from '../profiles/index.ts';
import { findOrBuildDapr } from '../programs/dapr.ts';
import { adminEnv, findOrCreateAdmin, type Admin } from './admin.ts';
import {
  createAppProcesses,
  findMissing,
  replicasOf,
  type RemoteHost,
  type RunningApp,
} from './app-processes.ts';
import { infrastructureFor } from './infrastructure.ts';
import { createManagedProcess, type ManagedProcess } from './managed-process.ts';
import { controlPlane } from './prepare.ts';
import { localScrapeTargets } from './scrape-targets.ts';
import { commandOf, renderTemplate } from './render-template.ts';

/** A complete system: services, sidecars, broker, scheduler, Zipkin and mail catcher. */
export interface RunningSystem {
  urls: { api: string; grpc: string; zipkin: string; mails: string; prometheus: string };
  admin: Admin;
  logDir: string;
  /** The names of all replicas of all services, for `app`. */
  names: string[];
  /** By app id, or by `<app id>-2` and so on for further replicas. @throws Error if the name is unknown */
  app: (name: string) => RunningApp;
  /** By title: `Redis`, `Dapr scheduler`, `Dapr placement`, `Mail catcher`, `Zipkin`, `Prometheus`. @throws Error if the title is unknown */
  infrastructure: (title: string) => ManagedProcess;
  stop: () => Promise<void>;
}

export interface SystemOptions {
  /** The folder for all data. A later start with this folder continues with the data. */
  dataDir: string;
  /** The shift of every port of dapr.yaml and of the infrastructure. */
  portOffset: number;
  /** Additional environment variables, by app id, or by name for a single replica. */
  env?: Record<string, Record<string, string>>;
  /** The number of replicas by app id, 1 by default. The second gateway is `app('gateway-2')`. */
  replicas?: Readonly<Record<string, number>>;
  /** The folder of the compiled services, by default `dist` of this project. */
  dist?: string;
  /** The port at which the sidecar of a replica calls its service, for a proxy between the two. */
  portForSidecar?: (name: string, appPort: number) => number;
  /** The hosts of remote replicas, by name, and the address of this host for them. */
  network?: { address: string; hosts: Record<string, RemoteHost> };
  /** Whether a running Redis, scheduler, Zipkin or mail catcher at these ports is used, as in `npm start`. */
  reusesInfrastructure?: boolean;
  /** Whether a Prometheus scrapes the system. */
  observability?: boolean;
  /** Whether services and sidecars trace nothing, and there is no Zipkin. */
  untraced?: boolean;
  /** The commands of services in other languages, by app id. Each start of a service reads them, so a test can change them. */
  commands?: Readonly<Record<string, readonly string[]>>;
  /** The name of a profile. It supports no remote hosts. */
  profile?: string;
}

/**
 * Under overload, the gateway still gets a processor to reject requests. So do its callers, which are other processes. A return takes
 * days and the processor time of four orders, so it waits for orders.
 */
const NICENESS: Readonly<Record<string, number | undefined>> = { gateway: undefined, returns: 15 };
const DEFAULT_NICENESS = 10;
const nicenessOf = (app: string) => (app in NICENESS ? NICENESS[app] : DEFAULT_NICENESS);

/**
 * Starts a system process by process, from the same dapr.yaml and components that `dapr run -f .` reads. Other systems may run
 * on the same machine. Tests, benchmarks and `npm run dev` restart single processes, which `dapr run` cannot do.
 */
export async function startSystem(options: SystemOptions): Promise<RunningSystem> {
  restrictFileAccess();
  const { dataDir, portOffset: offset } = options;
  const ports = portsAt(offset);
  const logDir = ensureFolder(dataDir, 'logs');
  ensureFolder(dataDir, 'state');
  const ignoreProgress = () => {};
  const profile = findProfile(options.profile);
  if (!profile?.broker) await findOrInstallRedis(logDir, ignoreProgress);
  if (options.observability) await findOrInstallPrometheus(logDir, ignoreProgress);
  const dapr = await findOrBuildDapr(ignoreProgress, controlPlane());
  const zipkin = await findOrDownloadZipkin(ignoreProgress);
  const { template } = renderTemplate({ offset, ports, dataDir, profile, untraced: options.untraced });
  const admin = findOrCreateAdmin(dataDir);
  const api = `http://127.0.0.1:${8080 + offset}`;

  const infrastructure = new Map<string, ManagedProcess>();
  const apps = new Map<string, RunningApp>();
  const stop = async () => {
    // Services first, so that their requests can finish. The infrastructure follows in the reverse order of the start.
    await Promise.all([...apps.values()].map(({ service }) => service.stop()));
    await Promise.all([...apps.values()].map(({ sidecar }) => sidecar.stop()));
    for (const one of [...infrastructure.values()].toReversed()) await one.stop();
  };

  try {
    const zipkinJar = 'jar' in zipkin && !options.untraced ? zipkin.jar : undefined;
    const address = options.network?.address;
    const scrapeTargets = options.observability ? localScrapeTargets(offset, options.replicas) : undefined;
    for (const service of infrastructureFor({
      dapr,
      ports,
      dataDir,
      logDir,
      zipkinJar,
      address,
      profile,
      scrapeTargets,
    }))
      infrastructure.set(
        service.title,
        createManagedProcess(async (onStarted) => {
          if (!options.reusesInfrastructure || !(await service.findRunning()))
            onStarted(await service.start());
        }),
      );
    await startAll([...infrastructure.values()]);
    const replicas = template.apps.flatMap((app) => replicasOf(app, options.replicas?.[app.appID] ?? 1));
    for (const { app } of replicas) await assertPortFree(app.appPort, app.appID);
    for (const { name, app } of replicas)
      apps.set(
        name,
        createAppProcesses({
          name,
          app,
          template,
          dapr,
          dataDir,
          logDir,
          env: {
            // An empty variable counts as unset.
            ...(options.untraced ? { ZIPKIN_ENDPOINT: '', OTEL_EXPORTER_OTLP_ENDPOINT: '' } : {}),
            ...(app.appID === 'users' ? adminEnv(admin) : {}),
            ...options.env?.[app.appID],
            ...options.env?.[name],
          },
          dist: options.dist ?? join(root, 'dist'),
          command: () => commandOf(app, options.commands?.[app.appID]),
          portForSidecar: options.portForSidecar?.(name, app.appPort) ?? app.appPort,
          address,
          host: options.network?.hosts[name],
          niceness: nicenessOf(app.appID),
        }),
      );
    await startAll([...apps.values()].flatMap(({ service, sidecar }) => [service, sidecar]));
    const localApps = [...apps].filter(([name]) => !options.network?.hosts[name]);
    const sidecars = localApps.map(([, { daprHttpPort }]) => daprHttpPort);
    await waitFor('the services', async () => {
      for (const { assertRunning } of apps.values()) assertRunning();
      return (await findMissing(api, sidecars)) ?? true;
    });
    // The gateway has reached one replica of each service.
    await Promise.all(localApps.map(([name, { isReachable }]) => waitFor(name, isReachable)));
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    urls: {
      api,
      grpc: `127.0.0.1:${ports.grpc}`,
      zipkin: `http://127.0.0.1:${ports.zipkin}`,
      mails: `http://127.0.0.1:${ports.mailWeb}`,
      prometheus: `http://127.0.0.1:${ports.prometheus}`,
    },
    admin,
    logDir,
    names: [...apps.keys()],
    app: (name) => getOrThrow(apps, name),
    infrastructure: (title) => getOrThrow(infrastructure, title),
    stop,
  };
}

/** Waits for all of them, even if one fails, because a process that is still starting cannot be stopped. */
async function startAll(processes: ManagedProcess[]): Promise<void> {
  const starting = processes.map((one) => one.start());
  await Promise.allSettled(starting);
  await Promise.all(starting);
}

function getOrThrow<T>(all: ReadonlyMap<string, T>, name: string): T {
  const found = all.get(name);
  if (!found) throw new Error(`no ${name} in this system`);
  return found;
}
