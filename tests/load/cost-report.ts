import { availableParallelism } from 'node:os';
import { isOfSystem, totalCalls, totalCpuMs, type MachineLoad, type OrderCost } from './cost.ts';
import { memoryMbOf, type Usage } from './processes.ts';
import { markdownTable, percent } from './report.ts';

/** The cost of an order by service, and of what the services share. `processes` has the memory of each. */
export function costTable(cost: OrderCost, processes: readonly Usage[]): string {
  const { services, schedulerCalls, cpuMs } = cost;
  const rows = Object.entries(services).map(([service, { requests, sidecarCalls, stateOperations }]) => {
    const pair = [service, `${service}-sidecar`];
    return [
      service,
      ...[requests, sidecarCalls, stateOperations].map(digits),
      ...pair.map((name) => digits(cpuMs[name] ?? 0)),
      ...pair.map((name) => memoryMbOf(processes, name).toFixed(0)),
    ];
  });
  const totals = (['requests', 'sidecarCalls', 'stateOperations'] as const).map((name) =>
    totalCalls(cost, name),
  );
  const isService = (name: string) => name in services;
  const isSidecar = (name: string) => name.replace(/-sidecar$/, '') in services && !isService(name);
  const ofServices = totalCpuMs(cpuMs, isService);
  const ofSidecars = totalCpuMs(cpuMs, isSidecar);
  const others = Object.entries(cpuMs)
    .filter(([name, ms]) => !isService(name) && !isSidecar(name) && ms >= 0.05)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, ms]) => `${name} ${digits(ms)}`);
  return [
    'An order costs, from the request to the delivery, and the memory at the end:',
    '',
    markdownTable([
      [
        'service',
        'requests into it',
        'calls into its sidecar',
        'state operations',
        'service, ms',
        'sidecar, ms',
        'service, MB',
        'sidecar, MB',
      ],
      ...rows,
      ['together', ...[...totals, ofServices, ofSidecars].map(digits), '', ''],
    ]),
    '',
    `Other processes, ms: ${others.join(', ')}.`,
    `The system takes ${digits(totalCpuMs(cpuMs, isOfSystem))} ms, and ${digits(schedulerCalls)} calls into the scheduler.`,
  ].join('\n');
}

/** From this share on, a processor limits the orders per second. */
const SATURATED = 0.9;

/** What limits the orders per second. */
export function describeLimit({ busy, cores }: MachineLoad): string {
  const ranked = Object.entries(cores).toSorted(([, a], [, b]) => b - a);
  const used = ranked.reduce((sum, [, count]) => sum + count, 0);
  const others = Math.max(0, busy * availableParallelism() - used);
  const most = ranked.slice(0, 4).map(([name, count]) => `${name} ${percent(count / used)}`);
  return (
    `The limit of the completed orders: ${limitOf(busy, ranked, others > used)}. The cores are ${percent(busy)} busy: ` +
    `the benchmark uses ${used.toFixed(2)}, other programs ${others.toFixed(2)}. ` +
    `Most of the benchmark's time: ${most.join(', ')}.`
  );
}

function limitOf(busy: number, ranked: [name: string, cores: number][], othersUseMore: boolean): string {
  if (busy >= SATURATED) return othersUseMore ? 'other programs on this machine' : 'the processors';
  const full = ranked.filter(([name, count]) => isOfSystem(name) && count >= SATURATED).map(([name]) => name);
  return full.length > 0
    ? `${full.join(', ')}, with a whole core`
    : 'no processor, but waits: disk, timers or a queue';
}

const digits = (value: number) => value.toFixed(1);
