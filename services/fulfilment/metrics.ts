import type { MetricDeclarations } from '../shared/telemetry/metrics.ts';

/** The metrics of `fulfilment`. */
export const METRICS = {
  transitions: {
    type: 'counter',
    name: 'shipment_transitions_total',
    help: 'Shipments that reached a status',
    labels: { status: ['PREPARING', 'DISPATCHED', 'DELIVERED', 'STOPPED'] },
  },
} as const satisfies MetricDeclarations;
