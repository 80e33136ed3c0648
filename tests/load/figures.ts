import { mean } from './closed-loop.ts';
import { isOfSystem, totalCalls, totalCpuMs } from './cost.ts';
import type { Measure, Measurements } from './measures.ts';
import type { Usage } from './processes.ts';
import { createFigure, createRatio, type Bounds, type Figure } from './report.ts';

/** The bounds of the ratios and of the figures. */
const BOUNDS = {
  completed: { must: 0.08, target: 0.12 },
  completedByWorkflow: { must: 1.5, target: 3 },
  accepted: { must: 0.4, target: 0.7 },
  cpu: { must: 18, target: 12, isMaximum: true },
  reads: { must: 0.65, target: 0.85 },
  single: { must: 18, target: 12, isMaximum: true },
  oneProduct: { must: 1, target: 1 },
  returns: { must: 10 },
  lostBesideReturns: { must: 1, isMaximum: true },
  millionOrders: { must: 0.9, target: 0.95 },
  sidecarCalls: { must: 16, isMaximum: true },
  serviceCalls: { must: 11, isMaximum: true },
  schedulerCalls: { must: 0, isMaximum: true },
  scrape: { must: 50, isMaximum: true },
  streams: { must: 0.9 },
  streamsMemory: { must: 60, isMaximum: true },
  failures: { must: 0, isMaximum: true },
  serviceMemory: { must: 120, target: 95, isMaximum: true },
  returnsMemory: { must: 150, isMaximum: true },
  gatewayMemory: { must: 150, target: 120, isMaximum: true },
  sidecarMemory: { must: 130, target: 110, isMaximum: true },
} satisfies Record<string, Bounds>;

/** The measurements with their bounds. */
export function figuresOf(measurements: Measurements, processes: readonly Usage[]): Figure[] {
  const { samples, chainCpuMs, cost, returnCpuMs, returnShares, failures } = measurements;
  const isMeasured = (measure: Measure) => samples[measure] !== undefined;
  const value = (measure: Measure) => mean(samples[measure] ?? []);
  const rate = (measure: Measure, reference: Measure, bounds: Bounds) =>
    createRatio(`${measure} : ${reference}`, value(measure), {
      unit: '/s',
      reference: value(reference),
      bounds,
    });
  const baseline = (measure: Measure) => createFigure(`baseline: ${measure}`, value(measure), '/s');
  const orderCpuMs = totalCpuMs(cost.cpuMs, isOfSystem);
  const chains = samples.chain ?? [];
  const lostBesideReturns = 100 * (1 - value('completed orders beside returns') / value('completed orders'));

  return [
    baseline('chain'),
    {
      label: 'baseline: chain, slowest and fastest',
      value: `${Math.round(Math.min(...chains))} - ${Math.round(Math.max(...chains))} /s`,
    },
    createFigure('baseline: chain, processor time', mean(chainCpuMs), 'ms'),
    baseline('workflow of five empty activities'),
    baseline('look up, store and publish'),
    createFigure('baseline: publish and receive', value('publish and receive, ms'), 'ms'),
    rate('completed orders', 'chain', BOUNDS.completed),
    rate('completed orders', 'workflow of five empty activities', BOUNDS.completedByWorkflow),
    rate('orders accepted in a burst', 'look up, store and publish', BOUNDS.accepted),
    createRatio('processor time per order : per chain request', orderCpuMs, {
      unit: 'ms',
      reference: mean(chainCpuMs),
      bounds: BOUNDS.cpu,
    }),
    rate('GET /api/orders/:id', 'chain', BOUNDS.reads),
    createRatio('one order at a time until paid : publish and receive', value('one order at a time, ms'), {
      unit: 'ms',
      reference: value('publish and receive, ms'),
      bounds: BOUNDS.single,
    }),
    rate('completed orders, one product', 'completed orders', BOUNDS.oneProduct),
    createFigure('refunded returns', value('refunded returns'), '/s', BOUNDS.returns),
    createFigure('processor time per return', mean(returnCpuMs), 'ms'),
    createFigure('completed orders beside returns', value('completed orders beside returns'), '/s'),
    createRatio('orders lost beside returns : share of the returns', lostBesideReturns, {
      unit: '%',
      reference: 100 * mean(returnShares),
      bounds: BOUNDS.lostBesideReturns,
    }),
    ...(isMeasured('storing a million orders')
      ? [withMillionOrders('completed orders'), withMillionOrders('GET /api/orders/:id'), scrape()]
      : []),
    createFigure('calls into sidecars, per order', totalCalls(cost, 'sidecarCalls'), '', BOUNDS.sidecarCalls),
    createFigure('calls into services, per order', totalCalls(cost, 'requests'), '', BOUNDS.serviceCalls),
    // Jobs of a service may change at any time, but not because of an order.
    createFigure(
      'calls into the scheduler, per order',
      Number(cost.schedulerCalls.toFixed(1)),
      '',
      BOUNDS.schedulerCalls,
    ),
    ...(isMeasured('memory of 1,000 streams, MB') ? streams() : []),
    createFigure('failed requests', failures, '', BOUNDS.failures),
    ...memory(processes),
  ];

  /** The ratio of a measure with a million orders to the one before, each as a share of the chain of its time. */
  function withMillionOrders(measure: 'completed orders' | 'GET /api/orders/:id'): Figure {
    const speed = value('chain, a million orders') / value('chain');
    return createRatio(`${measure}, a million orders : before`, value(`${measure}, a million orders`), {
      unit: '/s',
      reference: value(measure) * speed,
      bounds: BOUNDS.millionOrders,
    });
  }

  function scrape(): Figure {
    const measured = value('slowest scrape, a million orders, ms');
    return createFigure('slowest scrape, a million orders', measured, 'ms', BOUNDS.scrape);
  }

  function streams(): Figure[] {
    const largest = Math.max(...(samples['memory of 1,000 streams, MB'] ?? []));
    return [
      rate('completed orders, 1,000 streams', 'completed orders', BOUNDS.streams),
      createFigure('memory of 1,000 streams', largest, 'MB', BOUNDS.streamsMemory),
    ];
  }
}

/**
 * The resident memory at the end: of the largest service and of the largest sidecar. The gateway has the streams, and `returns` has
 * the SDK.
 */
function memory(processes: readonly Usage[]): Figure[] {
  const sidecars = processes.filter(({ name }) => name.endsWith('-sidecar') && isOfSystem(name));
  const services = processes.filter(({ name }) =>
    sidecars.some((sidecar) => sidecar.name === `${name}-sidecar`),
  );
  const own = (service: string) => services.filter(({ name }) => name === service);
  const others = services.filter(({ name }) => !['gateway', 'returns'].includes(name));
  const largest = (candidates: readonly Usage[], bounds: Bounds) => {
    const [found] = candidates.toSorted((a, b) => b.memoryMb - a.memoryMb);
    return found ? [createFigure(`memory of ${found.name}`, found.memoryMb, 'MB', bounds)] : [];
  };
  return [
    ...largest(others, BOUNDS.serviceMemory),
    ...largest(own('gateway'), BOUNDS.gatewayMemory),
    ...largest(own('returns'), BOUNDS.returnsMemory),
    ...largest(sidecars, BOUNDS.sidecarMemory),
  ];
}
