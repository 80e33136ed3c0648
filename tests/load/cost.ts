import { portsAt } from '../../deploy/local/configuration/ports.ts';
import { localScrapeTargets } from '../../deploy/local/system/scrape-targets.ts';
import { mean } from './closed-loop.ts';
import { cpuMsBetween, machineTime, usage } from './processes.ts';

/** What an order costs one service, from the request to the delivery. */
export interface ServiceCost {
  /** Requests into the service: from callers, events and jobs. Probes are not counted. */
  requests: number;
  /** Calls of the HTTP API of its sidecar. */
  sidecarCalls: number;
  /** Operations of the state store. A bulk operation is one. */
  stateOperations: number;
}

/** What an order costs. */
export interface OrderCost {
  services: Record<string, ServiceCost>;
  /** Jobs that were set and deleted. */
  schedulerCalls: number;
  /** Processor time in milliseconds, by name of the process. */
  cpuMs: Record<string, number>;
}

/** How busy the machine was. */
export interface MachineLoad {
  /** The share of all processors that any program used. */
  busy: number;
  /** The cores that each process of the benchmark used. */
  cores: Record<string, number>;
}

interface Counters {
  services: Record<string, ServiceCost>;
  schedulerCalls: number;
}

/** Measures what happens between `start` and the calls of the functions that it returns. */
export interface CostMeter {
  start: () => Promise<{ load: () => MachineLoad; perOrder: (orders: number) => Promise<OrderCost> }>;
}

/** @param offset the shift of the system's ports */
export function createCostMeter(offset: number): CostMeter {
  const targets = localScrapeTargets(offset);
  const scheduler = `127.0.0.1:${portsAt(offset).schedulerMetrics}`;

  async function readCounters(): Promise<Counters> {
    const services = await Promise.all(
      targets.map(async ({ service, metrics, sidecarMetrics }): Promise<[string, ServiceCost]> => {
        const [own, sidecar] = await Promise.all([scrape(metrics), scrape(sidecarMetrics)]);
        const counts = {
          requests: own('requests_total'),
          sidecarCalls: sidecar('dapr_http_server_request_count'),
          stateOperations: sidecar('dapr_component_state_count'),
        };
        return [service, counts];
      }),
    );
    const jobs = await scrape(scheduler);
    const schedulerCalls =
      jobs('dapr_scheduler_jobs_created_total') + jobs('dapr_scheduler_jobs_deleted_total');
    return { services: Object.fromEntries(services), schedulerCalls };
  }

  return {
    async start() {
      const before = await readCounters();
      const usageBefore = usage();
      const machineBefore = machineTime();
      const started = performance.now();
      return {
        load() {
          const { busyMs, totalMs } = machineTime();
          const ms = performance.now() - started;
          return {
            busy: (busyMs - machineBefore.busyMs) / (totalMs - machineBefore.totalMs),
            cores: mapValues(cpuMsBetween(usageBefore, usage()), (cpuMs) => cpuMs / ms),
          };
        },
        async perOrder(orders) {
          const cpuMs = mapValues(cpuMsBetween(usageBefore, usage()), (ms) => ms / orders);
          const after = await readCounters();
          return {
            services: mapValues(after.services, (counts, service) =>
              mapValues(counts, (count, name) => (count - (before.services[service]?.[name] ?? 0)) / orders),
            ),
            schedulerCalls: (after.schedulerCalls - before.schedulerCalls) / orders,
            cpuMs,
          };
        },
      };
    },
  };
}

/** Reads the metrics at an address. The result gives the sum of a counter over all labels. */
async function scrape(address: string): Promise<(counter: string) => number> {
  const response = await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(10_000) });
  const lines = (await response.text()).split('\n');
  return (counter) =>
    lines
      .filter((line) => line.startsWith(`${counter}{`) || line.startsWith(`${counter} `))
      // An exemplar may follow after " # ".
      .reduce((sum, line) => sum + Number(/[} ](\d[\d.e+]*)(?: #|$)/.exec(line)?.[1] ?? 0), 0);
}

/** The mean of several costs. */
export function meanCost(costs: readonly OrderCost[]): OrderCost {
  const meanOf = (valueOf: (cost: OrderCost) => number | undefined) =>
    mean(costs.map((cost) => valueOf(cost) ?? 0));
  const [first] = costs;
  return {
    services: mapValues(first?.services ?? {}, (counts, service) =>
      mapValues(counts, (_, name) => meanOf(({ services }) => services[service]?.[name])),
    ),
    schedulerCalls: meanOf(({ schedulerCalls }) => schedulerCalls),
    cpuMs: mapValues(first?.cpuMs ?? {}, (_, name) => meanOf(({ cpuMs }) => cpuMs[name])),
  };
}

/** The processor time of these processes together. */
export function totalCpuMs(
  cpuMs: Readonly<Record<string, number>>,
  isCounted: (process: string) => boolean,
): number {
  return sum(Object.entries(cpuMs).flatMap(([name, ms]) => (isCounted(name) ? ms : [])));
}

/** Whether a process belongs to the system, and not to the load generator or the baselines. */
export const isOfSystem = (process: string): boolean => !/^(load generator|bare-|dapr run)/.test(process);

/** The calls of all services together. */
export const totalCalls = ({ services }: OrderCost, name: keyof ServiceCost): number =>
  sum(Object.values(services).map((counts) => counts[name]));

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function mapValues<Values extends object, Result>(
  values: Values,
  change: (value: Values[keyof Values], name: keyof Values & string) => Result,
): Record<keyof Values, Result> {
  const entries = Object.entries(values) as [keyof Values & string, Values[keyof Values]][];
  return Object.fromEntries(entries.map(([name, value]) => [name, change(value, name)])) as Record<
    keyof Values,
    Result
  >;
}
