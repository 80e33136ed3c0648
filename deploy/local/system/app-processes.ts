import { DAPRD_SCRIPT, secretsEnv, readTokens } from '../configuration/secrets.ts';
import type { App, Template } from '../configuration/template.ts';
import { root } from '../machine/paths.ts';
import { startProcess, waitFor } from '../machine/processes.ts';
import type { Dapr } from '../programs/dapr.ts';
import { createManagedProcess, type ManagedProcess } from './managed-process.ts';

/** A service and its sidecar, which can be stopped and started separately. */
export interface RunningApp {
  appPort: number;
  daprHttpPort: number;
  /** The value of the header `dapr-api-token` for the sidecar. */
  daprApiToken: () => string;
  /** Whether the sidecar forwards calls to the service. It rejects them until its first health check has passed. */
  isReachable: () => Promise<boolean>;
  /** @throws Error with the reason, if the service or the sidecar has exited */
  assertRunning: () => void;
  service: ManagedProcess;
  sidecar: ManagedProcess;
}

/** Another host for a replica, for example a network namespace of this machine. */
export interface RemoteHost {
  /** The address at which other sidecars find its replicas. */
  address: string;
  /** A command that runs its arguments on that host. `localhost` must lead from there to this host. */
  enter: readonly string[];
}

/** The distance between the ports of one replica and those of the next. */
const REPLICA_PORT_STEP = 10;
/** https://www.w3.org/TR/trace-context/#traceparent-header, with the flag `sampled` off. */
const UNSAMPLED = `00-${'1'.repeat(32)}-${'1'.repeat(16)}-00`;
/** Ports of a service beside its `appPort`. */
const PORT_VARIABLES: ReadonlySet<string> = new Set(['GRPC_PORT', 'OPERATOR_PORT']);

/** The replicas of an app: `orders`, `orders-2` and so on, each with its own ports. */
export function replicasOf(app: App, count: number): { name: string; app: App }[] {
  return Array.from({ length: count }, (_, index) => {
    const shift = index * REPLICA_PORT_STEP;
    const env = Object.entries(app.env ?? {}).map(([variable, value]) =>
      PORT_VARIABLES.has(variable) ? [variable, String(Number(value) + shift)] : [variable, value],
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
  /** The folder of the compiled services. */
  dist: string;
  /** The command of the service at its next start. */
  command: () => readonly string[];
  /** The port at which the sidecar calls its service. */
  portForSidecar: number;
  /** The address of this host, if replicas run on other hosts. */
  address: string | undefined;
  /** The host of the replica; undefined for this one. */
  host: RemoteHost | undefined;
  /** See `StartOptions`. */
  niceness: number | undefined;
}

export function createAppProcesses(options: AppOptions): RunningApp {
  const { name, app, template, dapr, dataDir, logDir, dist, host, niceness } = options;
  const hostIp = host?.address ?? options.address;
  const env = {
    ...template.common.env,
    ...app.env,
    ...options.env,
    ...secretsEnv(dataDir),
    APP_ID: app.appID,
    APP_PORT: String(app.appPort),
    DAPR_HTTP_PORT: String(app.daprHTTPPort),
    DAPR_GRPC_PORT: String(app.daprGRPCPort),
    DAPR_METRICS_PORT: String(app.metricsPort),
    ...(host ? { APP_HOST: '0.0.0.0', OPERATOR_HOST: '0.0.0.0' } : {}),
  };
  const probePort = app.env?.['OPERATOR_PORT'] ?? app.appPort;
  const isReady = async () =>
    (await probe(`http://${host?.address ?? '127.0.0.1'}:${probePort}/readyz`))?.ok === true;
  const createProcess = (
    title: string,
    command: () => readonly string[],
    environment: Record<string, string>,
  ) =>
    createManagedProcess(async (onStarted) => {
      const [program = '', ...args] = [...(host?.enter ?? []), ...command()];
      const running = startProcess(title, program, args, { logDir, cwd: root, env: environment, niceness });
      onStarted(running);
      await waitFor(name, isReady, { process: running });
    });

  const command = () => options.command().map((part) => part.replace(/^dist(?=\/)/, dist));
  const sidecarEnv = {
    ...env,
    ...dapr.env,
    ...(hostIp ? { DAPR_HOST_IP: hostIp } : {}),
  };
  const daprApiToken = () => readTokens(dataDir, app.appID).DAPR_API_TOKEN;
  const service = createProcess(name, command, env);
  const sidecar = createProcess(`${name}-sidecar`, () => [DAPRD_SCRIPT, ...daprdArgs(options)], sidecarEnv);
  return {
    appPort: app.appPort,
    daprHttpPort: app.daprHTTPPort,
    daprApiToken,
    async isReachable() {
      // A sidecar hands calls of its own app id to its own service. A trace of this call would be noise.
      const response = await probe(
        `http://127.0.0.1:${app.daprHTTPPort}/v1.0/invoke/${app.appID}/method/healthz`,
        { 'dapr-api-token': daprApiToken(), traceparent: UNSAMPLED },
      );
      return response !== undefined && response.status < 500;
    },
    assertRunning() {
      service.assertRunning();
      sidecar.assertRunning();
    },
    service,
    sidecar,
  };
}

/**
 * What keeps the services from responding through their sidecars; undefined if all of them respond. A starting sidecar forwards
 * calls until its health checks begin, then rejects them until the first check has passed. So the sidecars are checked first.
 *
 * @param sidecars the ports of their HTTP APIs, as far as this program can reach them
 */
export async function findMissing(api: string, sidecars: readonly number[]): Promise<string | undefined> {
  const answers = await Promise.all(sidecars.map(sidecarProblem));
  const problem = answers.find((answer) => answer !== undefined);
  if (problem !== undefined) return problem;
  const response = await fetch(`${api}/health`, { signal: AbortSignal.timeout(3_000) }).catch(
    () => undefined,
  );
  const health = (await response?.json().catch(() => undefined)) as { status?: string } | undefined;
  return health?.status === 'ok' ? undefined : `${api}/health: ${JSON.stringify(health) ?? 'no response'}`;
}

/** Whether all services respond through their sidecars. */
export const isSystemReady = async (api: string, sidecars: readonly number[]): Promise<boolean> =>
  (await findMissing(api, sidecars)) === undefined;

/** daprd answers without an error once it is initialised and checks its service: https://docs.dapr.io/reference/api/health_api/. */
async function sidecarProblem(port: number): Promise<string | undefined> {
  const url = `http://127.0.0.1:${port}/v1.0/healthz`;
  const response = await probe(url);
  if (response?.ok) return undefined;
  return `${url}: ${(await response?.text().catch(() => '')) || 'no response'}`;
}

/** The response of a process; undefined if there is none within two seconds. */
const probe = (url: string, headers: Record<string, string> = {}): Promise<Response | undefined> =>
  fetch(url, { headers, signal: AbortSignal.timeout(2_000) }).catch(() => undefined);

/** The arguments that `dapr run` passes to daprd for an app of the template. */
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
    'placement-host-address': app.placementHostAddress ?? '',
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
