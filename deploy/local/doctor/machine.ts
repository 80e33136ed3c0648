import { readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isGrpc } from '../infrastructure/scheduler.ts';
import { isZipkin } from '../infrastructure/zipkin.ts';
import { readTextOrEmpty } from '../machine/paths.ts';
import { findPortOwners, isOpenToNetwork } from '../machine/port-holder.ts';
import { isPortInUse } from '../machine/tcp-ports.ts';
import { respondsAtLast, RESTART, type CheckedSystem } from './checked-system.ts';
import { findingsOf, skipped, type Finding, type Problem } from './finding.ts';

/** Whether the other ports of the system respond, and those of sidecars only to this machine. */
export async function checkPorts({ apps, ports }: CheckedSystem): Promise<Finding[]> {
  const [hasGrpc, hasMail, hasZipkin] = await Promise.all([
    respondsAtLast(() => isGrpc(ports.grpc)),
    respondsAtLast(() => isPortInUse(ports.smtp)),
    isZipkin(ports.zipkin),
  ]);
  const open = apps.flatMap(({ name, daprPorts }) =>
    daprPorts.filter(isOpenToNetwork).map((port) => ({
      message: `Port ${port} of the sidecar of ${name} is open to other machines.`,
      advice: 'Start the system with npm start, which closes it: services/decisions/0001-closed-ports.md.',
    })),
  );
  const problems: Problem[] = [
    ...(hasGrpc
      ? []
      : [
          {
            message: `The gateway does not serve gRPC on port ${ports.grpc}.`,
            advice: `See its log. ${RESTART}`,
          },
        ]),
    ...(hasMail
      ? []
      : [
          {
            message: `The mail catcher does not respond on port ${ports.smtp}, so no e-mail is sent.`,
            advice: `See mail-catcher.log in the logs of the data. E-mails follow when it is back. ${RESTART}`,
          },
        ]),
    ...open,
  ];
  return [
    ...findingsOf('ports', problems, 'gRPC and e-mail respond, and sidecars only to this machine'),
    ...(hasZipkin
      ? []
      : [skipped('traces', `Zipkin does not run on port ${ports.zipkin}. Nothing else needs it.`)]),
  ];
}

/** Above its limits in dapr.yaml, a service stays below half of this. */
const MAX_MEMORY_MB = 400;

/** Whether a service or a sidecar uses too much memory. */
export function checkMemory({ apps }: CheckedSystem): Finding[] {
  const owners = findPortOwners(apps.flatMap(({ appPort, daprHttpPort }) => [appPort, daprHttpPort]));
  const processes = apps
    .flatMap(({ name, appPort, daprHttpPort }) => [
      { name, port: appPort },
      { name: `the sidecar of ${name}`, port: daprHttpPort },
    ])
    .flatMap(({ name, port }) => {
      const megabytes = memoryOf(owners.get(port));
      return megabytes === undefined ? [] : [{ name, megabytes }];
    });
  const [largest] = processes.toSorted((one, other) => other.megabytes - one.megabytes);
  if (!largest) return [skipped('memory', 'This system does not show the processes of ports. Linux does.')];
  const total = processes.reduce((sum, { megabytes }) => sum + megabytes, 0);
  return findingsOf(
    'memory',
    processes
      .filter(({ megabytes }) => megabytes > MAX_MEMORY_MB)
      .map(({ name, megabytes }) => ({
        message: `${name} uses ${megabytes} MB of memory, more than ${MAX_MEMORY_MB} MB.`,
        advice: `It may leak memory, or hold a burst of requests. If it keeps growing, restart it. ${RESTART}`,
      })),
    `${processes.length} processes use ${total} MB, the largest ${largest.megabytes} MB (${largest.name})`,
  );
}

/** The resident memory in megabytes: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html. */
function memoryOf(pid: number | undefined): number | undefined {
  if (pid === undefined) return undefined;
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readTextOrEmpty(`/proc/${pid}/status`)) ?? [];
  return kilobytes === undefined ? undefined : Math.round(Number(kilobytes) / 1_024);
}

const MIN_FREE_BYTES = 1024 ** 3;

/** Whether the disk of the data has room. */
export function checkDisk({ dataDir }: CheckedSystem): Finding[] {
  const { bavail, bsize } = statfsSync(dataDir);
  const freeBytes = bavail * bsize;
  const inGigabytes = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GB`;
  const used = inGigabytes(sizeOf(dataDir));
  return findingsOf(
    'disk',
    freeBytes >= MIN_FREE_BYTES
      ? []
      : [
          {
            message: `The disk of ${dataDir} has only ${inGigabytes(freeBytes)} left. The data uses ${used}.`,
            advice: 'Free some space. On a full disk, databases and Redis refuse every change.',
          },
        ],
    `${inGigabytes(freeBytes)} free, the data uses ${used}`,
  );
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (sum, entry) =>
        sum + (statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
}
