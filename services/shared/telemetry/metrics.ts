import { collectDefaultMetrics, Registry } from 'prom-client';

/** The interval, at which the event loop lag is measured. The default of 10 ms keeps an idle service busy. */
const LAG_INTERVAL_MS = 100;

/** Creates a registry with the metrics of the process. On an idle process, the percentiles of `nodejs_eventloop_lag` are 0.1 s. */
export function createMetrics(): Registry {
  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics, eventLoopMonitoringPrecision: LAG_INTERVAL_MS });
  return metrics;
}
