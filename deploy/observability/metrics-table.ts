import { metricsOf } from '../../services/shared/api-docs/openapi-service.ts';
import type { ServiceDescription } from '../../services/shared/api-docs/route-table.ts';
import { COMMON_METRICS } from '../../services/shared/telemetry/common-metrics.ts';
import type { MetricDeclaration } from '../../services/shared/telemetry/metrics.ts';
import { DASHBOARDS } from './dashboards.ts';
import { OBJECTIVES } from './objectives.ts';
import { alertsOf } from './rules.ts';

/** Metrics of Node.js, Dapr and Prometheus that alerts or panels use, with their meaning. */
const EXTERNAL: Readonly<Record<string, string>> = {
  up: 'Whether a target answered',
  ALERTS: 'Alerts that are pending or firing',
  process_cpu_seconds_total: 'Processor time of a process',
  process_resident_memory_bytes: 'Memory of a process',
  process_open_fds: 'Open files and sockets',
  process_max_fds: 'Files and sockets that may be open',
  nodejs_eventloop_lag_p50_seconds: 'Delay of the event loop, median',
  nodejs_eventloop_lag_p99_seconds: 'Delay of the event loop, 99th percentile',
  nodejs_heap_size_used_bytes: 'Used heap',
  nodejs_heap_size_total_bytes: 'Allocated heap',
  nodejs_gc_duration_seconds_sum: 'Time for garbage collection',
  dapr_http_server_request_count: 'Calls of a service to its sidecar',
  dapr_http_server_latency_bucket: 'Their duration, in milliseconds',
  dapr_http_client_roundtrip_latency_bucket: 'Duration of calls to the service, in milliseconds',
  dapr_runtime_service_invocation_req_sent_total: 'Calls to other services',
  dapr_component_pubsub_egress_count: 'Published events',
  dapr_component_pubsub_ingress_count: 'Deliveries of events, by result',
  dapr_component_pubsub_ingress_latencies_bucket: 'Duration of deliveries, in milliseconds',
  dapr_component_state_count: 'Operations on state',
  dapr_component_state_latencies_bucket: 'Their duration, in milliseconds',
  dapr_resiliency_cb_state: 'States of circuit breakers: 1 for the current one',
};

/** The metrics of others that alerts or panels use. */
export function externalMetrics(): { name: string; meaning: string }[] {
  return Object.entries(EXTERNAL).map(([name, meaning]) => ({ name, meaning }));
}

/** Expressions of alerts and panels, by the text that names them in the table. */
function uses(services: readonly string[]): { by: string; expr: string }[] {
  const recorded = OBJECTIVES.map(({ name, good, total }) => ({
    by: `objective ${name}`,
    expr: `${good} / ${total}`,
  }));
  const panels = DASHBOARDS.flatMap(({ title, rows }) =>
    Object.values(rows).flatMap((row) =>
      row.flatMap(({ queries }) => Object.values(queries).map((expr) => ({ by: title, expr }))),
    ),
  );
  const alerts = alertsOf(services).map(({ alert, expr }) => ({
    by: `[${alert}](runbooks.md#${alert.toLowerCase()})`,
    expr,
  }));
  return [...alerts, ...recorded, ...panels];
}

/** The names of all metrics in expressions. Recorded series have colons. */
export function metricsUsed(services: readonly string[]): Set<string> {
  const names = uses(services).flatMap(({ expr }) => [
    ...expr
      .replaceAll(/\{[^}]*\}|"[^"]*"|\bby \([^)]*\)/g, ' ')
      .matchAll(/(?<![\w:$])[a-zA-Z_][\w:]*(?![\w:]|\s*\()/g),
  ]);
  return new Set(names.map(([name]) => name).filter((name) => !name.includes(':') && !OPERATORS.has(name)));
}

const OPERATORS: ReadonlySet<string> = new Set(['and', 'or', 'unless', 'by', 'm', 's', 'h', 'd']);

/** The table of all metrics for README.md. */
export function metricsTable(services: readonly ServiceDescription[]): string {
  const used = uses(services.map(({ name }) => name));
  const usesOf = (metric: string) => {
    const pattern = new RegExp(`(?<!\\w)${metric}(_bucket|_sum|_count)?(?!\\w)`);
    return [...new Set(used.filter(({ expr }) => pattern.test(expr)).map(({ by }) => by))].join(', ');
  };
  const row = ({ name, type, labels, help }: MetricDeclaration) => {
    const labelNames = Object.keys(labels).map((label) => `\`${label}\``);
    const owners = services.flatMap((service) =>
      metricsOf(service).some((metric) => metric.name === name) ? service.name : [],
    );
    const of = owners.length === services.length ? 'all' : owners.join(', ');
    return `| \`${name}\` | ${type} | ${labelNames.join(', ')} | ${of} | ${help} | ${usesOf(name)} |`;
  };
  const own = services.flatMap(({ metrics = {} }) => Object.values<MetricDeclaration>(metrics));
  return [
    '| metric | type | labels | of | meaning | used by |',
    '| --- | --- | --- | --- | --- | --- |',
    ...Object.values(COMMON_METRICS).map(row),
    ...own.map(row),
    ...externalMetrics().map(
      ({ name, meaning }) => `| \`${name}\` | | | others | ${meaning} | ${usesOf(name)} |`,
    ),
  ].join('\n');
}
