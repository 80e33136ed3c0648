import { join } from 'node:path';
import { appProcesses, isUp, replicasOf, type Host, type RunningApp } from './app-processes.ts';
import { unit, type Unit } from './managed-process.ts';
import { findOrBuildDapr } from '../programs/dapr.ts';
import { adminEnv, adminOf, type Admin } from './admin.ts';
import { partsOf } from './infrastructure.ts';
import { folder, keepPrivate, root } from '../machine/paths.ts';
import { demandFree } from '../machine/tcp-ports.ts';
import { portsAt } from '../configuration/ports.ts';
import { waitFor } from '../machine/processes.ts';
import { profileOf } from '../profiles/index.ts';
import { findOrInstallRedis } from '../infrastructure/redis.ts';
import { renderTemplate } from './render-template.ts';
import { findOrFetchZipkin } from '../infrastructure/zipkin.ts';

/** A whole system of its own: services, sidecars, broker, scheduler, Zipkin, mail catcher. */
export interface RunningSystem {
  urls: { api: string; grpc: string; zipkin: string; mails: string };
  admin: Admin;
  logDir: string;
  /** Every replica of every service: those that `app` knows. */
  names: string[];
  /** By app id, and by `<app id>-2` and so on for further replicas. @throws Error where there is none */
  app: (name: string) => RunningApp;
  /** By title: `Redis`, `Dapr scheduler`, `Mail catcher`, `Zipkin`. @throws Error where there is none */
  part: (title: string) => Unit;
  stop: () => Promise<void>;
}

export interface SystemOptions {
  /** Everything that the system keeps; a later start in the same folder goes on with it. */
  dataDir: string;
  /** Added to every port of dapr.yaml and of what stands around it. */
  portOffset: number;
  /** More environment, by app id, or by name for a single replica. */
  env?: Record<string, Record<string, string>>;
  /** How many of a service there are, by app id; one where none is said. The second gateway is `app('gateway-2')`. */
  replicas?: Readonly<Record<string, number>>;
  /** Where the compiled services are; not given: those of this project. */
  dist?: string;
  /** At which port a sidecar finds its service, by the replica's name: for a proxy between the two. */
  portForSidecar?: (name: string, appPort: number) => number;
  /** Replicas that run on other hosts, by name, and the address at which those find this one. */
  network?: { address: string; hosts: Record<string, Host> };
  /** Whether what runs at the ports of Redis, scheduler, Zipkin and mail catcher is used, as `npm start` does. */
  usesFound?: boolean;
  /** Other parts, by its name in profiles.ts; on this host alone. */
  profile?: string;
}

/**
 * Where all have too much to do, the gateway still gets a processor to refuse with, and so do those who ask it: they are no
 * part of the system.
 */
const BEHIND_THE_DOOR = 10;

/**
 * Starts a system beside whatever else runs on this machine, process by process, from the same dapr.yaml and components
 * that `dapr run -f .` reads. For tests and benchmarks, which have to stop single parts: `dapr run` cannot start them
 * again.
 */
export async function startSystem(options: SystemOptions): Promise<RunningSystem> {
  keepPrivate();
  const { dataDir, portOffset: offset } = options;
  const ports = portsAt(offset);
  const logDir = folder(dataDir, 'logs');
  folder(dataDir, 'state');
  const quietly = () => {};
  const profile = profileOf(options.profile);
  if (!profile?.broker) await findOrInstallRedis(logDir, quietly);
  const dapr = await findOrBuildDapr(quietly, true);
  const zipkin = await findOrFetchZipkin(quietly);
  const { template } = renderTemplate({ offset, ports, dataDir, profile });
  const admin = adminOf(dataDir);
  const api = `http://127.0.0.1:${8080 + offset}`;

  const parts = new Map<string, Unit>();
  const apps = new Map<string, RunningApp>();
  const stop = async () => {
    // Services first, so that what they have in flight can end; then what they stand on, last started first.
    await Promise.all([...apps.values()].map(({ service }) => service.stop()));
    await Promise.all([...apps.values()].map(({ sidecar }) => sidecar.stop()));
    for (const part of [...parts.values()].toReversed()) await part.stop();
  };

  try {
    const zipkinJar = 'jar' in zipkin ? zipkin.jar : undefined;
    const address = options.network?.address;
    for (const part of partsOf({ dapr, ports, dataDir, logDir, zipkinJar, address, profile }))
      parts.set(
        part.title,
        unit(async (keep) => {
          if (!options.usesFound || !(await part.found())) keep(await part.start());
        }),
      );
    await whole([...parts.values()].map((part) => part.start()));
    const all = template.apps.flatMap((app) => replicasOf(app, options.replicas?.[app.appID] ?? 1));
    for (const { app } of all) await demandFree(app.appPort, app.appID);
    for (const { name, app } of all)
      apps.set(
        name,
        appProcesses({
          name,
          app,
          template,
          dapr,
          dataDir,
          logDir,
          env: {
            ...(app.appID === 'users' ? adminEnv(admin) : {}),
            ...options.env?.[app.appID],
            ...options.env?.[name],
          },
          dist: options.dist ?? join(root, 'dist'),
          portForSidecar: options.portForSidecar?.(name, app.appPort) ?? app.appPort,
          address,
          host: options.network?.hosts[name],
          niceness: app.appID === 'gateway' ? undefined : BEHIND_THE_DOOR,
        }),
      );
    await whole([...apps.values()].flatMap((app) => [app.service.start(), app.sidecar.start()]));
    const here = [...apps].filter(([name]) => !options.network?.hosts[name]);
    const sidecars = here.map(([, { daprHttpPort }]) => daprHttpPort);
    await waitFor('the services', () => isUp(api, sidecars));
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
    },
    admin,
    logDir,
    names: [...apps.keys()],
    app: (name) => named(apps, name),
    part: (title) => named(parts, title),
    stop,
  };
}

/** Also where one of them fails, it waits for the others: what is still starting could not be stopped. */
async function whole(starting: Promise<void>[]): Promise<void> {
  await Promise.allSettled(starting);
  await Promise.all(starting);
}

function named<T>(all: ReadonlyMap<string, T>, name: string): T {
  const found = all.get(name);
  if (!found) throw new Error(`no ${name} in this system`);
  return found;
}
