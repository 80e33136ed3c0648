import { readdirSync, readFileSync } from 'node:fs';

/** What a process has used so far. */
export interface Usage {
  name: string;
  /** Processor time. Milliseconds. */
  cpuMs: number;
  /** Resident memory. Megabytes. */
  memoryMb: number;
}

/** Linux counts processor time in hundredths of a second, whatever the kernel's own tick is. */
const MS_PER_TICK = 10;

/**
 * This process and all that it started, by name: `orders` is the service, `orders-sidecar` its daprd. From /proc, so
 * empty where there is none.
 */
export function usage(): Usage[] {
  const ids = readProcesses();
  const ours = new Set([process.pid]);
  // Children have been started after their parents; a second look finds those whose number has wrapped around.
  for (let look = 0; look < 2; look++) for (const { pid, parent } of ids) if (ours.has(parent)) ours.add(pid);
  return ids.filter(({ pid }) => ours.has(pid));
}

/** Processor time of each process between two looks. */
export function spent(before: Usage[], after: Usage[]): Map<string, number> {
  const earlier = new Map(before.map(({ name, cpuMs }) => [name, cpuMs]));
  return new Map(after.map(({ name, cpuMs }) => [name, cpuMs - (earlier.get(name) ?? 0)]));
}

interface Process extends Usage {
  pid: number;
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
    // The second field is the program's name in parentheses, which may itself have blanks in it.
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
    return []; // ended meanwhile
  }
}

function nameOf(pid: number, command: string, parent: number): string {
  if (pid === process.pid) return 'load generator';
  const service = /services\/([a-z]+)\/main\.js/.exec(command)?.[1];
  if (service) return service;
  const sidecar = /daprd .*--app-id[= ]([a-z-]+)/.exec(command)?.[1];
  if (sidecar) return `${sidecar}-sidecar`;
  const part = /redis-server|scheduler|zipkin|maildev|bare-app|dapr run/.exec(command)?.[0];
  return part ?? `${parent}/${pid}`;
}
