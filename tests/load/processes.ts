import { readdirSync, readFileSync } from 'node:fs';
import { readTextOrEmpty } from '../../deploy/local/machine/paths.ts';

/** The resource usage of a process. */
export interface Usage {
  name: string;
  pid: number;
  /** The processor time so far. */
  cpuMs: number;
  /** The resident memory. */
  memoryMb: number;
}

/** Linux reports processor time in hundredths of a second. */
const MS_PER_TICK = 10;

/**
 * The usage of this process and its descendants: `orders` is the service in any language, `orders-sidecar` its daprd, and the apps of the
 * baselines begin with `bare-`. Empty without /proc.
 */
export function usage(): Usage[] {
  const ids = readProcesses();
  const ownPids = new Set([process.pid]);
  // A child usually has a higher pid than its parent. A second pass finds children whose pid has wrapped around.
  for (let pass = 0; pass < 2; pass++)
    for (const { pid, parent } of ids) if (ownPids.has(parent)) ownPids.add(pid);
  return ids.filter(({ pid }) => ownPids.has(pid));
}

/** The resident memory of a process; 0 if it does not run. */
export const memoryMbOf = (processes: readonly Usage[], process: string): number =>
  processes.find(({ name }) => name === process)?.memoryMb ?? 0;

/** The processor time between two snapshots, by name of the process. */
export function cpuMsBetween(before: readonly Usage[], after: readonly Usage[]): Record<string, number> {
  const cpuMsBefore = new Map(before.map(({ pid, cpuMs }) => [pid, cpuMs]));
  const byName: Record<string, number> = {};
  for (const { name, pid, cpuMs } of after)
    byName[name] = (byName[name] ?? 0) + cpuMs - (cpuMsBefore.get(pid) ?? 0);
  return byName;
}

/** The processor time of the whole machine since its start, in milliseconds of all cores. Zeros without /proc. */
export function machineTime(): { busyMs: number; totalMs: number } {
  const [, user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softIrq = 0, stolen = 0] =
    readTextOrEmpty('/proc/stat').split('\n', 1)[0]?.split(/\s+/).map(Number) ?? [];
  const busyMs = (user + nice + system + irq + softIrq + stolen) * MS_PER_TICK;
  return { busyMs, totalMs: busyMs + (idle + waiting) * MS_PER_TICK };
}

interface Process extends Usage {
  parent: number;
}

function readProcesses(): Process[] {
  let entries: string[];
  try {
    entries = readdirSync('/proc');
  } catch {
    return [];
  }
  return entries.filter((entry) => /^\d+$/.test(entry)).flatMap((entry) => readProcess(Number(entry)));
}

function readProcess(pid: number): Process[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the name of the program in parentheses, which may contain spaces.
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [, parent = 0] = fields;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    const cpuMs = ((fields[11] ?? 0) + (fields[12] ?? 0)) * MS_PER_TICK;
    return [
      { pid, parent, name: nameOf(pid, command, parent), cpuMs, memoryMb: Number(resident ?? 0) / 1024 },
    ];
  } catch {
    return []; // the process has exited
  }
}

function nameOf(pid: number, command: string, parent: number): string {
  if (pid === process.pid) return 'load generator';
  const service =
    /services\/([a-z]+)\/main\.js/.exec(command)?.[1] ?? /\.sidecart\/twins\/([a-z]+)/.exec(command)?.[1];
  if (service) return service;
  const sidecar = /daprd .*--app-id[= ]([a-z-]+)/.exec(command)?.[1];
  if (sidecar) return `${sidecar}-sidecar`;
  const baseline = /tests\/load\/.*-app\.js (bare-[a-z]+)/.exec(command)?.[1];
  if (baseline) return baseline;
  const part = /redis-server|scheduler|placement|zipkin|prometheus|maildev|dapr run/.exec(command)?.[0];
  return part ?? `${parent}/${pid}`;
}
