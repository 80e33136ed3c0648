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
  urls: { api: string; zipkin: string; mails: string };
  admin: Admin;
  logDir: string;
  /** @throws Error where there is no such app */
  app: (id: string) => RunningApp;
  stop: () => Promise<void>;
}

export interface SystemOptions {
  /** Everything that the system keeps; a later start in the same folder goes on with it. */
  dataDir: string;
  /** Added to every port of dapr.yaml and of what stands around it. */
  portOffset: number;
  /** More environment for single services, by app id. */
  env?: Record<string, Record<string, string>>;
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
    for (const app of template.apps) await demandFree(app.appPort, app.appID);
    for (const app of template.apps) {
      const env = { ...secrets, ...options.env?.[app.appID] };
      apps.push({ id: app.appID, app: appProcesses({ app, template, dapr, env, logDir }) });
    }
    await Promise.all(apps.map(({ app }) => Promise.all([app.startApp(), app.startSidecar()])));
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    urls: {
      api: `http://127.0.0.1:${8080 + offset}`,
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

function appProcesses(options: {
  app: App;
  template: Template;
  dapr: Dapr;
  env: Record<string, string>;
  logDir: string;
}): RunningApp {
  const { app, template, dapr, logDir } = options;
  const env = {
    ...template.common.env,
    ...app.env,
    ...options.env,
    APP_PORT: String(app.appPort),
    DAPR_HTTP_PORT: String(app.daprHTTPPort),
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
      service = start(app.appID, program, args, { logDir, cwd: root, env });
      await waitFor(`${app.appID} is ready`, isReady, { process: service });
    },
    stopSidecar: async (signal) => sidecar?.stop(signal),
    async startSidecar() {
      sidecar = start(`${app.appID}-sidecar`, dapr.daprd, daprdArgs(app, template), {
        logDir,
        cwd: root,
        env: { ...env, ...SIDECAR_ENV },
      });
      await waitFor(`${app.appID} is ready`, isReady, { process: sidecar });
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
