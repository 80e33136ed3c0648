import {
  createCounter,
  createGauge,
  createHistogram,
  type MetricDeclarations,
  type Metrics,
} from './metrics.ts';

/**
 * The metrics that services share. Probes and `/metrics` are not counted as requests. `metricsOf` tells which of them a service has.
 */
export const COMMON_METRICS = {
  requests: {
    type: 'counter',
    name: 'requests_total',
    help: 'Requests at their end',
    labels: {
      protocol: 'http or grpc',
      method: 'methods of HTTP, or of the gRPC service',
      route: 'patterns of routes, or the gRPC service',
      status: 'status codes of HTTP or gRPC',
    },
  },
  requestDuration: {
    type: 'histogram',
    name: 'request_duration_seconds',
    help: 'Duration of requests',
    labels: {
      protocol: 'http or grpc',
      method: 'methods of HTTP, or of the gRPC service',
      route: 'patterns of routes, or the gRPC service',
      status: 'status codes of HTTP or gRPC',
    },
    // 0.3 and 2 are the bounds of the objectives.
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 0.5, 1, 2, 5, 10],
  },
  activeConnections: {
    type: 'gauge',
    name: 'active_connections',
    help: 'Open connections',
    labels: { protocol: 'http or grpc' },
  },
  redeliveries: {
    type: 'counter',
    name: 'event_redeliveries_total',
    help: 'Failed deliveries that the sidecar repeats',
    labels: { event: 'event types that the service receives', cause: ['conflict', 'sidecar', 'other'] },
  },
  workListEntries: {
    type: 'gauge',
    name: 'work_list_entries',
    help: 'Entries of a work list, which has room for 32,000',
    labels: {},
  },
  workListLate: {
    type: 'gauge',
    name: 'work_list_late_seconds',
    help: 'Longest time that an entry has been due',
    labels: {},
  },
} as const satisfies MetricDeclarations;

/** The labels of a request. */
export interface RequestLabels {
  protocol: 'http' | 'grpc';
  method: string;
  route: string;
  status: string;
}

/** Creates the function that counts and measures each request at its end. */
export function createRequestRecorder(metrics: Metrics): (labels: RequestLabels, seconds: number) => void {
  const requests = createCounter(metrics, COMMON_METRICS.requests);
  const duration = createHistogram(metrics, COMMON_METRICS.requestDuration);
  return (labels, seconds) => {
    requests.inc({ ...labels });
    duration.observe({ ...labels }, seconds);
  };
}

/** Measures the open connections of a server at each scrape. */
export function measureConnections(
  metrics: Metrics,
  protocol: RequestLabels['protocol'],
  count: () => Promise<number>,
): void {
  createGauge(metrics, COMMON_METRICS.activeConnections, async (gauge) =>
    gauge.set({ protocol }, await count()),
  );
}
