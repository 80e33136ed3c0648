import type { Dapr } from '../programs/dapr.ts';
import { root } from '../machine/paths.ts';
import { start, waitFor } from '../machine/processes.ts';
import { unit, type Unit } from './managed-process.ts';
import { DAPRD, secretsIn, tokensOf } from '../configuration/secrets.ts';
import type { App, Template } from '../configuration/template.ts';

/** A service and its sidecar, each of which can be stopped and started by itself. */
export interface RunningApp {
  appPort: number;
  daprHttpPort: number;
  /** What the sidecar wants in the header `dapr-api-token`. */
  daprApiToken: () => string;
  service: Unit;
  sidecar: Unit;
}

/** Another host, as a replica sees it: a network namespace of this one, for instance. */
export interface Host {
  /** Its address, at which sidecars find those that run there. */
  address: string;
  /** The command that runs what follows it there; `localhost` must lead from there to this host. */
  enter: readonly string[];
}

/** By how much the ports of one replica are shifted against those of the one before. */
const BETWEEN_REPLICAS = 10;
/** Ports of a service beside its `appPort`. */
const OWN_PORTS: ReadonlySet<string> = new Set(['GRPC_PORT', 'OPERATOR_PORT']);

/** The replicas of an app: `orders`, `orders-2` and so on, each with ports of its own. */
export function replicasOf(app: App, count: number): { name: string; app: App }[] {
  return Array.from({ length: count }, (_, index) => {
    const shift = index * BETWEEN_REPLICAS;
    const env = Object.entries(app.env ?? {}).map(([variable, value]) =>
      OWN_PORTS.has(variable) ? [variable, String(Number(value) + shift)] : [variable, value],
    );
    return {
      name: index === 0 ? app.appID : `${app.appID}-${index + 1}`,
      app: {
        ...app,
        appPort: app.appPort + shift,
        daprHTTPPort: app.daprHTTPPort + shift,
        daprGRPCPort: app.daprGRPCPort + shift,
        daprInternalGRPCPort: app.daprInternalGRPCPort + shift,
        metricsPort: app.metricsPort + shift,
        ...(app.env ? { env: Object.fromEntries(env) as Record<string, string> } : {}),
      },
    };
  });
}

export interface AppOptions {
  name: string;
  app: App;
  template: Template;
  dapr: Dapr;
  env: Record<string, string>;
  dataDir: string;
  logDir: string;
  /** Where the compiled services are. */
  dist: string;
  /** At which port the sidecar finds its service. */
  portForSidecar: number;
  /** The address of this host where there are others. */
  address: string | undefined;
  /** Where it runs, if not here. */
  host: Host | undefined;
  /** See `StartOptions`. */
  niceness: number | undefined;
}

export function appProcesses(options: AppOptions): RunningApp {
  const { name, app, template, dapr, dataDir, logDir, dist, host, niceness } = options;
  const hostIp = host?.address ?? options.address;
  const env = {
    ...template.common.env,
    ...app.env,
    ...options.env,
    ...secretsIn(dataDir),
    APP_ID: app.appID,
    APP_PORT: String(app.appPort),
    DAPR_HTTP_PORT: String(app.daprHTTPPort),
    DAPR_METRICS_PORT: String(app.metricsPort),
    ...(host ? { APP_HOST: '0.0.0.0', OPERATOR_HOST: '0.0.0.0' } : {}),
  };
  const probePort = app.env?.['OPERATOR_PORT'] ?? app.appPort;
  const isReady = async () => {
    const response = await fetch(`http://${host?.address ?? '127.0.0.1'}:${probePort}/readyz`, {
      signal: AbortSignal.timeout(2_000),
    }).catch(() => undefined);
    return response?.ok === true;
  };
  const runs = (title: string, command: readonly string[], environment: Record<string, string>) =>
    unit(async (keep) => {
      const [program = '', ...args] = [...(host?.enter ?? []), ...command];
      const running = start(title, program, args, { logDir, cwd: root, env: environment, niceness });
      keep(running);
      await waitFor(name, isReady, { process: running });
    });

  const command = app.command.map((part) => part.replace(/^dist(?=\/)/, dist));
  const sidecarEnv = {
    ...env,
    ...dapr.env,
    ...(hostIp ? { DAPR_HOST_IP: hostIp } : {}),
  };
  return {
    appPort: app.appPort,
    daprHttpPort: app.daprHTTPPort,
    daprApiToken: () => tokensOf(dataDir, app.appID).DAPR_API_TOKEN,
    service: runs(name, command, env),
    sidecar: runs(`${name}-sidecar`, [DAPRD, ...daprdArgs(options)], sidecarEnv),
  };
}

/**
 * Whether all services are reached through their sidecars. A sidecar that starts passes calls on before it looks at its service;
 * then it refuses them until its first look. So each is first asked whether it has begun to look.
 *
 * @param sidecars the ports of their HTTP APIs; none where they are not reached from here
 */
export async function isUp(api: string, sidecars: readonly number[]): Promise<boolean> {
  const begun = await Promise.all(sidecars.map(hasBegun));
  if (!begun.every(Boolean)) return false;
  const response = await fetch(`${api}/health`, { signal: AbortSignal.timeout(3_000) }).catch(
    () => undefined,
  );
  const health = (await response?.json().catch(() => undefined)) as { status?: string } | undefined;
  return health?.status === 'ok';
}

/** daprd has initialised all of its parts, the checks of its service included: https://docs.dapr.io/reference/api/health_api/. */
async function hasBegun(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/v1.0/healthz`, {
    signal: AbortSignal.timeout(2_000),
  }).catch(() => undefined);
  return response?.ok === true;
}

/** What `dapr run` passes to daprd for an app of the template. */
function daprdArgs({ app, template: { common }, portForSidecar }: AppOptions): string[] {
  const flags = {
    'app-id': app.appID,
    'app-port': portForSidecar,
    'dapr-listen-addresses': common.apiListenAddresses,
    'dapr-http-port': app.daprHTTPPort,
    'dapr-grpc-port': app.daprGRPCPort,
    'dapr-internal-grpc-port': app.daprInternalGRPCPort,
    'metrics-port': app.metricsPort,
    config: common.configFilePath,
    'scheduler-host-address': common.schedulerHostAddress,
    'placement-host-address': '',
    'read-buffer-size': common.readBufferSize,
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
