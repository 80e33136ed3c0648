import { findOrBuildDapr, type Dapr } from './dapr.ts';
import { adminOf, partsOf, secretEnv, SIDECAR_ENV, type Admin } from './infrastructure.ts';
import { folder, root } from './paths.ts';
import { demandFree, portsAt } from './ports.ts';
import { start, waitFor, type Running } from './processes.ts';
import { findOrInstallRedis } from './redis.ts';
import { renderTemplate, type App, type Template } from './template.ts';
import { findOrFetchZipkin } from './zipkin.ts';

/** A service and its sidecar, each of which can be stopped and started by itself. */
export interface RunningApp {
  appPort: number;
  daprHttpPort: number;
  /** The service's process id. */
  pid: () => number;
  sidecarPid: () => number;
  stopApp: (signal?: NodeJS.Signals) => Promise<void>;
  /** Resolves when the service answers `/readyz`. */
  startApp: () => Promise<void>;
  stopSidecar: (signal?: NodeJS.Signals) => Promise<void>;
  startSidecar: () => Promise<void>;
}

/** A whole system of its own: services, sidecars, broker, scheduler, Zipkin, mail catcher. */
export interface RunningSystem {
  urls: { api: string; grpc: string; zipkin: string; mails: string };
  admin: Admin;
  logDir: string;
  /** By app id, and by `<app id>-2` and so on for further replicas. @throws Error where there is none */
  app: (name: string) => RunningApp;
  stop: () => Promise<void>;
}

export interface SystemOptions {
  /** Everything that the system keeps; a later start in the same folder goes on with it. */
  dataDir: string;
  /** Added to every port of dapr.yaml and of what stands around it. */
  portOffset: number;
  /** More environment for single services, by app id. */
  env?: Record<string, Record<string, string>>;
  /** How many of a service there are, by app id; one where none is said. The second gateway is `app('gateway-2')`. */
  replicas?: Record<string, number>;
}

/**
 * Starts a system beside whatever else runs on this machine, process by process, from the same dapr.yaml and components
 * that `dapr run -f .` reads. For tests and benchmarks, which have to stop single parts: `dapr run` cannot start them
 * again.
 */
export async function startSystem(options: SystemOptions): Promise<RunningSystem> {
  const { dataDir, portOffset: offset } = options;
  const ports = portsAt(offset);
  const logDir = folder(dataDir, 'logs');
  folder(dataDir, 'state');
  const quietly = () => {};
  await findOrInstallRedis(logDir, quietly);
  const dapr = await findOrBuildDapr(quietly, true);
  const zipkin = await findOrFetchZipkin(quietly);
  const { template } = renderTemplate({ offset, ports, dataDir });
  const admin = adminOf(dataDir);
  const secrets = secretEnv(admin);

  const running: Running[] = [];
  const stop = async () => {
    // Services first, so that what they have in flight can end; then what they stand on, last started first.
    await Promise.all(apps.map(({ app }) => app.stopApp()));
    await Promise.all(apps.map(({ app }) => app.stopSidecar()));
    for (const one of running.toReversed()) await one.stop();
  };
  const apps: { id: string; app: RunningApp }[] = [];

  try {
    const zipkinJar = 'jar' in zipkin ? zipkin.jar : undefined;
    const parts = partsOf({ dapr, ports, dataDir, logDir, zipkinJar });
    running.push(...(await Promise.all(parts.map((part) => part.start()))));
    const all = template.apps.flatMap((app) => replicasOf(app, options.replicas?.[app.appID] ?? 1));
    for (const { app } of all) await demandFree(app.appPort, app.appID);
    for (const { name, app } of all) {
      const env = { ...secrets, ...options.env?.[app.appID] };
      apps.push({ id: name, app: appProcesses({ name, app, template, dapr, env, logDir }) });
    }
    await Promise.all(apps.map(({ app }) => Promise.all([app.startApp(), app.startSidecar()])));
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    urls: {
      api: `http://127.0.0.1:${8080 + offset}`,
      grpc: `127.0.0.1:${ports.grpc}`,
      zipkin: `http://127.0.0.1:${ports.zipkin}`,
      mails: `http://127.0.0.1:${ports.mailWeb}`,
    },
    admin,
    logDir,
    app(id) {
      const found = apps.find((one) => one.id === id);
      if (!found) throw new Error(`no app ${id} runs here`);
      return found.app;
    },
    stop,
  };
}

/** By how much the ports of one replica are shifted against those of the one before. */
const BETWEEN_REPLICAS = 10;

function replicasOf(app: App, count: number): { name: string; app: App }[] {
  return Array.from({ length: count }, (_, index) => {
    const shift = index * BETWEEN_REPLICAS;
    const grpc = app.env?.['GRPC_PORT'];
    return {
      name: index === 0 ? app.appID : `${app.appID}-${index + 1}`,
      app: {
        ...app,
        appPort: app.appPort + shift,
        daprHTTPPort: app.daprHTTPPort + shift,
        daprGRPCPort: app.daprGRPCPort + shift,
        daprInternalGRPCPort: app.daprInternalGRPCPort + shift,
        metricsPort: app.metricsPort + shift,
        ...(grpc ? { env: { ...app.env, GRPC_PORT: String(Number(grpc) + shift) } } : {}),
      },
    };
  });
}

function appProcesses(options: {
  name: string;
  app: App;
  template: Template;
  dapr: Dapr;
  env: Record<string, string>;
  logDir: string;
}): RunningApp {
  const { name, app, template, dapr, logDir } = options;
  const env = {
    ...template.common.env,
    ...app.env,
    ...options.env,
    APP_PORT: String(app.appPort),
    DAPR_HTTP_PORT: String(app.daprHTTPPort),
    DAPR_METRICS_PORT: String(app.metricsPort),
  };
  let service: Running | undefined;
  let sidecar: Running | undefined;
  const isReady = async () => {
    const response = await fetch(`http://127.0.0.1:${app.appPort}/readyz`, {
      signal: AbortSignal.timeout(2_000),
    }).catch(() => undefined);
    return response?.ok === true;
  };

  return {
    appPort: app.appPort,
    daprHttpPort: app.daprHTTPPort,
    pid: () => service?.pid ?? -1,
    sidecarPid: () => sidecar?.pid ?? -1,
    stopApp: async (signal) => service?.stop(signal),
    async startApp() {
      const [program = process.execPath, ...args] = app.command;
      service = start(name, program, args, { logDir, cwd: root, env });
      await waitFor(`${name} is ready`, isReady, { process: service });
    },
    stopSidecar: async (signal) => sidecar?.stop(signal),
    async startSidecar() {
      sidecar = start(`${name}-sidecar`, dapr.daprd, daprdArgs(app, template), {
        logDir,
        cwd: root,
        env: { ...env, ...SIDECAR_ENV },
      });
      await waitFor(`${name} is ready`, isReady, { process: sidecar });
    },
  };
}

/** What `dapr run` passes to daprd for an app of the template. */
function daprdArgs(app: App, { common }: Template): string[] {
  const flags = {
    'app-id': app.appID,
    'app-port': app.appPort,
    'dapr-http-port': app.daprHTTPPort,
    'dapr-grpc-port': app.daprGRPCPort,
    'dapr-internal-grpc-port': app.daprInternalGRPCPort,
    'metrics-port': app.metricsPort,
    config: common.configFilePath,
    'scheduler-host-address': common.schedulerHostAddress,
    'placement-host-address': '',
    'app-health-check-path': common.appHealthCheckPath,
    'app-health-probe-interval': common.appHealthProbeInterval,
    'app-health-probe-timeout': common.appHealthProbeTimeout,
    'app-health-threshold': common.appHealthThreshold,
  };
  return [
    ...Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`),
    '--enable-app-health-check',
    ...common.resourcesPaths.flatMap((path) => ['--resources-path', path]),
  ];
}
