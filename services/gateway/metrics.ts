import type { MetricDeclarations } from '../shared/telemetry/metrics.ts';

/** The metrics of the gateway. */
export const METRICS = {
  inProgress: {
    type: 'gauge',
    name: 'requests_in_progress',
    help: 'Requests at the concurrency limiter, without streams',
    labels: {},
  },
  shed: {
    type: 'counter',
    name: 'requests_shed_total',
    help: 'Requests that the concurrency limiter shed',
    labels: {},
  },
} as const satisfies MetricDeclarations;
