import { existsSync } from 'node:fs';
import { checkBacklog } from './backlog.ts';
import { get, type CheckedSystem } from './checked-system.ts';
import { skipped, type Finding } from './finding.ts';
import { checkDisk, checkMemory, checkPorts } from './machine.ts';
import { checkOrders } from './orders.ts';
import { checkClocks, checkServices } from './services.ts';
import { checkSidecars } from './sidecars.ts';

export interface Diagnosis {
  status: 'ok' | 'problem' | 'not running';
  findings: Finding[];
}

/** Runs all checks. They change nothing. */
export async function diagnose(system: CheckedSystem): Promise<Diagnosis> {
  if (!(await isRunning(system))) return { status: 'not running', findings: [] };
  const groups = await Promise.all([
    checkServices(system),
    checkSidecars(system),
    checkBacklog(system),
    checkOrders(system),
    checkClocks(system),
    checkPorts(system),
  ]);
  const findings = [
    ...groups.flat(),
    // Last, because they block this process, and the others have short timeouts.
    ...checkMemory(system),
    ...checkDisk(system),
    skipped('certificates', 'There are none: one machine has no mTLS. On Kubernetes: `dapr mtls expiry`.'),
  ];
  const hasProblem = findings.some(({ status }) => status === 'problem');
  return { status: hasProblem ? 'problem' : 'ok', findings };
}

/** Whether the system has data, and any of its services or sidecars listens. */
async function isRunning({ apps, dataDir }: CheckedSystem): Promise<boolean> {
  if (!existsSync(dataDir)) return false;
  const ports = apps.flatMap(({ appPort, daprHttpPort }) => [appPort, daprHttpPort]);
  const replies = await Promise.all(ports.map((port) => get(port, '/healthz')));
  return replies.some((reply) => reply !== 'refused');
}
