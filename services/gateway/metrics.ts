import type { MetricDeclarations } from '../shared/telemetry/metrics.ts';

/** The metrics of the gateway. */
export const METRICS = {
  inProgress: {
    type: 'gauge',
    name: 'requests_in_progress',
    help: 'Requests that count at the concurrency limiter, which admits 100. Streams do not count',
    labels: {},
  },
  shed: {
    type: 'counter',
    name: 'requests_shed_total',
    help: 'Requests that the concurrency limiter shed',
    labels: {},
  },
} as const satisfies MetricDeclarations;
