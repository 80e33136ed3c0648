import type { Ports } from '../configuration/ports.ts';
import { startProcess, waitFor, type RunningProcess } from '../machine/processes.ts';
import { assertPortFree } from '../machine/tcp-ports.ts';
import type { Dapr } from '../programs/dapr.ts';
import { isHealthy } from './scheduler.ts';

/** Starts Dapr's placement service, which tells the sidecars where each workflow runs. It keeps nothing on disk. */
export async function startPlacement(options: {
  dapr: Dapr;
  ports: Ports;
  logDir: string;
  listenAddress: string;
}): Promise<RunningProcess> {
  const { dapr, ports, logDir, listenAddress } = options;
  const own = [ports.placement, ports.placementHealth, ports.placementMetrics, ports.placementRaft];
  for (const port of own) await assertPortFree(port, 'Dapr placement');
  const flags = {
    port: ports.placement,
    'listen-address': listenAddress,
    'healthz-port': ports.placementHealth,
    'healthz-listen-address': '127.0.0.1',
    'metrics-port': ports.placementMetrics,
    'metrics-listen-address': '127.0.0.1',
    'initial-cluster': `dapr-placement-0=127.0.0.1:${ports.placementRaft}`,
  };
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  const running = startProcess('placement', dapr.placement, args, { logDir });
  await waitFor('Dapr placement', () => isHealthy(ports.placementHealth), { process: running });
  return running;
}
