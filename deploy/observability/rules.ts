import {
  badEvents,
  BURN_RATES,
  errorRatio,
  IS_FAILED,
  MIN_BAD_EVENTS,
  NO_STREAMS,
  OBJECTIVES,
  WINDOWS,
  type Objective,
} from './objectives.ts';
import { JOBS } from './prometheus.ts';

/** `page`: wake somebody. `ticket`: look at it on the next working day. */
export type Severity = 'page' | 'ticket';

export interface Alert {
  alert: string;
  expr: string;
  /** How long the expression holds until the alert fires. */
  for?: string;
  labels: { severity: Severity } & Record<string, string>;
  annotations: { summary: string; runbook_url: string };
}

interface RecordingRule {
  record: string;
  expr: string;
  labels: Record<string, string>;
}

/** The sections of this file, by the names of the alerts. It is a path of this repository. */
const RUNBOOKS = 'deploy/observability/runbooks.md';

function alert(
  name: string,
  expr: string,
  options: { severity: Severity; for?: string; summary: string; labels?: Record<string, string> },
): Alert {
  const { severity, summary, labels } = options;
  return {
    alert: name,
    expr,
    ...(options.for === undefined ? {} : { for: options.for }),
    labels: { severity, ...labels },
    annotations: { summary, runbook_url: `${RUNBOOKS}#${name.toLowerCase()}` },
  };
}

/** Without requests, the ratio is no number. Without a good one, there may be no series of good ones. */
const recordings = ({ name, good, total }: Objective): RecordingRule[] =>
  WINDOWS.flatMap((window) => {
    const inWindow = (expr: string) => expr.replaceAll('[5m]', `[${window}]`);
    const increase = (expr: string) => inWindow(expr).replaceAll('rate(', 'increase(');
    const labels = { objective: name };
    const isLong = BURN_RATES.some(({ long }) => long === window);
    return [
      {
        record: errorRatio(window),
        expr: inWindow(`1 - (${good} or vector(0)) / ${total}`),
        labels,
      },
      ...(isLong
        ? [
            {
              record: badEvents(window),
              expr: increase(`${total} - (${good} or vector(0))`),
              labels,
            },
          ]
        : []),
    ];
  });

function burnAlerts({ name, title, target }: Objective): Alert[] {
  const alertName = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const burns = (severity: Severity) =>
    BURN_RATES.filter((rate) => rate.severity === severity)
      .map(({ factor, long, short }) => {
        const exceeds = (window: string) =>
          `${errorRatio(window)}{objective="${name}"} > ${Number((factor * (1 - target)).toPrecision(6))}`;
        const areEnough = `${badEvents(long)}{objective="${name}"} >= ${MIN_BAD_EVENTS}`;
        return `(${exceeds(long)} and ${exceeds(short)} and ${areEnough})`;
      })
      .join(' or ');
  return [
    alert(`${alertName}BudgetBurnsFast`, burns('page'), {
      severity: 'page',
      summary: `At this rate, the error budget of 30 days is gone within five days: ${title}.`,
    }),
    alert(`${alertName}BudgetBurnsSlowly`, burns('ticket'), {
      severity: 'ticket',
      summary: `At this rate, the error budget is gone before 30 days are over: ${title}.`,
    }),
  ];
}

/** The alerts on causes and symptoms that no objective covers. */
function otherAlerts(services: readonly string[]): Alert[] {
  const targets = Object.values(JOBS).flatMap((job) => services.map((service) => ({ job, service })));
  return [
    alert('ServiceDown', `up{job="${JOBS.services}"} == 0`, {
      severity: 'page',
      for: '1m',
      summary: '{{ $labels.service }} at {{ $labels.instance }} does not answer.',
    }),
    alert('SidecarDown', `up{job="${JOBS.sidecars}"} == 0`, {
      severity: 'page',
      for: '1m',
      summary: 'The sidecar of {{ $labels.service }} at {{ $labels.instance }} does not answer.',
    }),
    alert(
      'ExporterSilent',
      targets.map(({ job, service }) => `absent(up{job="${job}",service="${service}"})`).join(' or '),
      {
        severity: 'ticket',
        for: '5m',
        summary: 'Prometheus has no target for {{ $labels.service }} in the job {{ $labels.job }}.',
      },
    ),
    alert(
      'ErrorRateHigh',
      `sum by (service) (rate(requests_total{${IS_FAILED}}[5m])) / sum by (service) (rate(requests_total[5m])) > 0.05`,
      {
        severity: 'page',
        for: '2m',
        summary: '{{ $value | humanizePercentage }} of the requests to {{ $labels.service }} fail.',
      },
    ),
    alert(
      'LatencyHigh',
      `histogram_quantile(0.95, sum by (service, le) (rate(request_duration_seconds_bucket{service="gateway",${NO_STREAMS}}[5m]))) > 1`,
      {
        severity: 'page',
        for: '5m',
        summary:
          'One of twenty requests to {{ $labels.service }} takes longer than {{ $value | humanizeDuration }}.',
      },
    ),
    alert('OrdersStuck', 'max by (status) (stuck_orders) > 0', {
      severity: 'page',
      for: '1m',
      summary: '{{ $value }} orders stay {{ $labels.status }} without progress.',
    }),
    alert('OrdersShed', 'sum(rate(admission_control_orders_total{result="shed"}[5m])) > 0', {
      severity: 'page',
      for: '2m',
      summary:
        'orders sheds {{ $value | humanize }} new orders per second, because accepted ones wait too long.',
    }),
    alert('GatewayOverloaded', 'sum(rate(requests_shed_total[5m])) > 0', {
      severity: 'ticket',
      for: '2m',
      summary: 'The gateway sheds {{ $value | humanize }} requests per second.',
    }),
    alert('DeadLetters', 'sum by (type) (increase(dead_letters_total[15m])) > 0', {
      severity: 'ticket',
      summary: 'No handler could process some {{ $labels.type }} events.',
    }),
    alert('RedeliveriesHigh', 'sum by (service, cause) (rate(event_redeliveries_total[5m])) > 0.5', {
      severity: 'ticket',
      for: '5m',
      summary:
        'Handlers of {{ $labels.service }} fail, and events are redelivered. Cause: {{ $labels.cause }}.',
    }),
    alert('WorkLate', 'max by (service) (work_list_late_seconds) > 60', {
      severity: 'page',
      for: '1m',
      summary: '{{ $labels.service }} is {{ $value | humanizeDuration }} behind with its work list.',
    }),
    // Each sweep wakes what is due, and a workflow repeats a failed step within a minute.
    alert('ReturnsLate', 'max(return_workflows_due) > 0', {
      severity: 'page',
      for: '5m',
      summary: '{{ $value }} returns wait for their refund or another step.',
    }),
    alert(
      'PaymentProviderSlow',
      'histogram_quantile(0.95, sum by (step, le) (rate(payment_provider_duration_seconds_bucket[5m]))) > 1.5',
      {
        severity: 'page',
        for: '3m',
        summary:
          'One of twenty calls to {{ $labels.step }} a payment takes longer than {{ $value | humanizeDuration }}.',
      },
    ),
    alert('CircuitBreakerOpen', 'max by (service, target) (dapr_resiliency_cb_state{status="open"}) == 1', {
      severity: 'ticket',
      for: '1m',
      summary:
        'The sidecar of {{ $labels.service }} calls {{ $labels.target }} no more, because calls failed.',
    }),
    alert('StateWritesFail', STATE_WRITES_FAIL, {
      severity: 'page',
      for: '15s',
      summary:
        '{{ $value | humanizePercentage }} of what {{ $labels.service }} writes to its state store fails.',
    }),
    alert('EmailsFail', 'sum(rate(emails_total{outcome="failed"}[5m])) > 0', {
      severity: 'ticket',
      for: '10m',
      summary: 'E-mails cannot be sent.',
    }),
    alert('StockLow', 'min by (product) (current_stock) <= min by (product) (low_stock_threshold)', {
      severity: 'ticket',
      for: '1m',
      summary: 'Only {{ $value }} of {{ $labels.product }} are available.',
    }),
    alert('CpuHigh', `rate(process_cpu_seconds_total{job="${JOBS.services}"}[5m]) > 0.9`, {
      severity: 'ticket',
      for: '10m',
      summary: '{{ $labels.service }} at {{ $labels.instance }} uses a whole processor.',
    }),
    alert('MemoryHigh', `process_resident_memory_bytes{job="${JOBS.services}"} > ${MEMORY_BYTES}`, {
      severity: 'ticket',
      for: '10m',
      summary:
        '{{ $labels.service }} at {{ $labels.instance }} uses {{ $value | humanize1024 }}B. At 320 MiB it is killed.',
    }),
    alert('EventLoopSlow', 'nodejs_eventloop_lag_p99_seconds > 0.5', {
      severity: 'ticket',
      for: '5m',
      summary:
        'The event loop of {{ $labels.service }} is busy for {{ $value | humanizeDuration }} at a time.',
    }),
    alert('ConnectionsHigh', 'sum by (service, instance) (active_connections) > 1000', {
      severity: 'ticket',
      for: '5m',
      summary: '{{ $labels.service }} at {{ $labels.instance }} has {{ $value }} open connections.',
    }),
    alert('FileDescriptorsHigh', 'process_open_fds / process_max_fds > 0.7', {
      severity: 'ticket',
      for: '5m',
      summary:
        '{{ $labels.service }} ({{ $labels.job }}) has opened {{ $value | humanizePercentage }} of its files.',
    }),
  ];
}

/** The series of a sidecar about what its service writes. */
export const STATE_WRITES = 'dapr_component_state_count{operation=~"set|delete|transaction"}';
export const FAILED_STATE_WRITES = STATE_WRITES.replace('}', ',success="false"}');
/**
 * A sidecar counts conflicts as failures, too, but each conflict has a winner. With one product and three replicas of `inventory`,
 * 47 % of the writes failed.
 */
const STATE_WRITES_FAIL = `sum by (service) (rate(${FAILED_STATE_WRITES}[1m])) / sum by (service) (rate(${STATE_WRITES}[1m])) > 0.9`;

/** 80 % of the memory limit in deploy/kubernetes/base/services/every-service.yaml. */
const MEMORY_BYTES = 0.8 * 320 * 1024 * 1024;

/** All rules, for `rules.yml`. */
export function ruleGroups(services: readonly string[]) {
  return {
    groups: [
      {
        name: 'objectives',
        // The short windows are five minutes, the long ones three days.
        interval: '30s',
        rules: OBJECTIVES.flatMap(recordings),
      },
      { name: 'error budgets', rules: OBJECTIVES.flatMap(burnAlerts) },
      { name: 'faults', rules: otherAlerts(services) },
    ],
  };
}

/** All alerts. */
export function alertsOf(services: readonly string[]): Alert[] {
  return [...OBJECTIVES.flatMap(burnAlerts), ...otherAlerts(services)];
}
