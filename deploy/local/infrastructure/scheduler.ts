import { existsSync } from 'node:fs';
import { connect } from 'node:http2';
import type { Ports } from '../configuration/ports.ts';
import { ensureFolder } from '../machine/paths.ts';
import { startProcess, waitFor, type RunningProcess } from '../machine/processes.ts';
import { assertPortFree } from '../machine/tcp-ports.ts';
import type { Dapr } from '../programs/dapr.ts';

/** Whether a gRPC server listens at this port. Without certificates, a scheduler cannot be identified more precisely. */
export function isGrpc(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const session = connect(`http://127.0.0.1:${port}`);
    const answer = (isGrpcServer: boolean) => {
      session.destroy();
      resolve(isGrpcServer);
    };
    session.setTimeout(1_000, () => answer(false));
    session.once('remoteSettings', () => answer(true));
    session.once('error', () => answer(false));
    session.once('close', () => answer(false));
  });
}

/** Starts Dapr's scheduler, with its jobs in `dataDir`. */
export async function startScheduler(options: {
  dapr: Dapr;
  ports: Ports;
  dataDir: string;
  logDir: string;
  listenAddress: string;
}): Promise<RunningProcess> {
  const { dapr, ports, dataDir, logDir, listenAddress } = options;
  if (!existsSync(dapr.scheduler))
    throw new Error(
      `No Dapr scheduler runs on port ${ports.scheduler}, and none is installed. Run \`dapr init\` again.`,
    );
  const own = [
    ports.schedulerHealth,
    ports.schedulerMetrics,
    ports.schedulerEtcdClient,
    ports.schedulerEtcdPeer,
  ];
  for (const port of [ports.scheduler, ...own]) await assertPortFree(port, 'Dapr scheduler');
  const flags = {
    port: ports.scheduler,
    'listen-address': listenAddress,
    'healthz-port': ports.schedulerHealth,
    'healthz-listen-address': '127.0.0.1',
    'metrics-port': ports.schedulerMetrics,
    'metrics-listen-address': '127.0.0.1',
    // By default the scheduler sends the sidecars a name that only Kubernetes resolves.
    'override-broadcast-host-port': `localhost:${ports.scheduler}`,
    'etcd-data-dir': ensureFolder(dataDir, 'scheduler'),
    'etcd-client-port': ports.schedulerEtcdClient,
    'etcd-initial-cluster': `dapr-scheduler-server-0=http://localhost:${ports.schedulerEtcdPeer}`,
  };
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  const running = startProcess('scheduler', dapr.scheduler, args, { logDir });
  await waitFor('the Dapr scheduler', () => isHealthy(ports.schedulerHealth), { process: running });
  return running;
}

/** Whether a program of Dapr's control plane is ready. */
export async function isHealthy(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, {
    signal: AbortSignal.timeout(2_000),
  }).catch(() => undefined);
  return response?.ok === true;
}
