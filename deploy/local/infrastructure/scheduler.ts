import { existsSync } from 'node:fs';
import { connect } from 'node:http2';
import type { Dapr } from '../programs/dapr.ts';
import { folder } from '../machine/paths.ts';
import { demandFree } from '../machine/tcp-ports.ts';
import type { Ports } from '../configuration/ports.ts';
import { start, waitFor, type Running } from '../machine/processes.ts';

/** Whether what listens there speaks gRPC, as a scheduler does: without its certificates no more can be asked. */
export function speaksGrpc(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const session = connect(`http://127.0.0.1:${port}`);
    const answer = (speaks: boolean) => {
      session.destroy();
      resolve(speaks);
    };
    session.setTimeout(1_000, () => answer(false));
    session.once('remoteSettings', () => answer(true));
    session.once('error', () => answer(false));
    session.once('close', () => answer(false));
  });
}

/** Starts Dapr's scheduler, which keeps the jobs in `dataDir`. */
export async function startScheduler(options: {
  dapr: Dapr;
  ports: Ports;
  dataDir: string;
  logDir: string;
  listenAddress: string;
}): Promise<Running> {
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
  for (const port of [ports.scheduler, ...own]) await demandFree(port, 'Dapr scheduler');
  const flags = {
    port: ports.scheduler,
    'listen-address': listenAddress,
    'healthz-port': ports.schedulerHealth,
    'healthz-listen-address': '127.0.0.1',
    'metrics-port': ports.schedulerMetrics,
    'metrics-listen-address': '127.0.0.1',
    // Without it the scheduler tells the sidecars a name that only Kubernetes resolves.
    'override-broadcast-host-port': `localhost:${ports.scheduler}`,
    'etcd-data-dir': folder(dataDir, 'scheduler'),
    'etcd-client-port': ports.schedulerEtcdClient,
    'etcd-initial-cluster': `dapr-scheduler-server-0=http://localhost:${ports.schedulerEtcdPeer}`,
  };
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  const running = start('scheduler', dapr.scheduler, args, { logDir });
  await waitFor('the Dapr scheduler', () => isHealthy(ports.schedulerHealth), { process: running });
  return running;
}

async function isHealthy(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, {
    signal: AbortSignal.timeout(2_000),
  }).catch(() => undefined);
  return response?.ok === true;
}
