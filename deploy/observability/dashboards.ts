import { errorRatio, IS_FAILED, NO_STREAMS, OBJECTIVES, WINDOWS } from './objectives.ts';
import type { DashboardDescription, Panel } from './panels.ts';
import { JOBS } from './prometheus.ts';
import { FAILED_STATE_WRITES, STATE_WRITES } from './rules.ts';

const rate = (series: string) => `rate(${series}[$__rate_interval])`;
const sumOfRate = (series: string, ...by: string[]) =>
  `sum${by.length > 0 ? ` by (${by.join(', ')})` : ''} (${rate(series)})`;
const quantile = (share: number, histogram: string, ...by: string[]) =>
  `histogram_quantile(${share}, ${sumOfRate(histogram, ...by, 'le')})`;
/** The share of some events of all, by service. Without such events it is zero. */
const shareOf = (some: string, all: string) => {
  const total = sumOfRate(all, 'service');
  return `(${sumOfRate(some, 'service')} or 0 * ${total}) / ${total}`;
};
/** The median and a high percentile of a histogram. */
const percentiles = (histogram: string) => ({
  'half within': quantile(0.5, histogram),
  '95 % within': quantile(0.95, histogram),
  '99 % within': quantile(0.99, histogram),
});

/** How much of its machine each process uses. */
const processes = (selector: string, legend: string): Panel[] => [
  {
    title: 'Processor time',
    unit: 'ratio',
    description: 'Share of one processor.',
    queries: { [legend]: rate(`process_cpu_seconds_total{${selector}}`) },
  },
  {
    title: 'Memory',
    unit: 'bytes',
    queries: { [legend]: `process_resident_memory_bytes{${selector}}` },
  },
  {
    title: 'Open files and sockets',
    unit: 'count',
    queries: { [legend]: `process_open_fds{${selector}}` },
  },
];

const overview: DashboardDescription = {
  uid: 'sidecart-overview',
  title: 'Overview',
  description: 'Whether the shop works, and which service does not.',
  rows: {
    Customers: [
      {
        title: 'Requests to the gateway',
        unit: 'requestsPerSecond',
        queries: { '{{status}}': sumOfRate('requests_total{service="gateway"}', 'status') },
      },
      {
        title: 'Duration of requests',
        unit: 'seconds',
        exemplars: true,
        queries: percentiles(`request_duration_seconds_bucket{service="gateway",${NO_STREAMS}}`),
      },
      {
        title: 'Time until an order is decided',
        unit: 'seconds',
        exemplars: true,
        queries: percentiles('order_decision_duration_seconds_bucket'),
      },
      {
        title: 'Open orders',
        unit: 'count',
        queries: { '{{status}}': 'max by (status) (open_orders)' },
      },
      {
        title: 'Stuck orders',
        unit: 'count',
        description: 'Open orders without progress for two minutes.',
        queries: { '{{status}}': 'max by (status) (stuck_orders)' },
      },
      {
        title: 'Firing alerts',
        unit: 'count',
        queries: { '{{alertname}}': 'count by (alertname) (ALERTS{alertstate="firing"})' },
      },
    ],
    Services: [
      {
        title: 'Share of failed requests',
        unit: 'ratio',
        queries: {
          '{{service}}': shareOf(`requests_total{${IS_FAILED}}`, 'requests_total'),
        },
      },
      {
        title: 'Duration of 95 % of requests',
        unit: 'seconds',
        exemplars: true,
        queries: {
          '{{service}}': quantile(0.95, `request_duration_seconds_bucket{${NO_STREAMS}}`, 'service'),
        },
      },
      {
        title: 'Processes that answer',
        unit: 'count',
        queries: { '{{service}} {{job}}': 'sum by (service, job) (up)' },
      },
      ...processes(`job="${JOBS.services}"`, '{{service}} {{instance}}'),
    ],
  },
};

const business: DashboardDescription = {
  uid: 'sidecart-business',
  title: 'Business',
  description: 'Orders from the cart to the parcel.',
  rows: {
    Orders: [
      {
        title: 'Requests to place an order',
        unit: 'perSecond',
        queries: { '{{status}}': sumOfRate('orders_created_total', 'status') },
      },
      {
        title: 'Events of orders',
        unit: 'perSecond',
        queries: { '{{event}}': sumOfRate('order_transitions_total', 'event') },
      },
      {
        title: 'Decisions within 2 s',
        unit: 'ratio',
        description: 'Share of orders that were paid or refused within two seconds.',
        queries: {
          'within 2 s': `sum(${rate('order_decision_duration_seconds_bucket{le="2"}')}) / sum(${rate('order_decision_duration_seconds_count')})`,
        },
      },
      {
        title: 'Duration of finished orders',
        unit: 'seconds',
        description: 'From the acceptance to the final status, for 95 % of the orders.',
        queries: { '{{status}}': quantile(0.95, 'order_saga_duration_seconds_bucket', 'status') },
      },
      {
        title: 'Time in each status',
        unit: 'seconds',
        description: 'For 95 % of the orders that left the status.',
        queries: { '{{status}}': quantile(0.95, 'order_status_duration_seconds_bucket', 'status') },
      },
      {
        title: 'Age of the oldest open order',
        unit: 'seconds',
        queries: { age: 'max(oldest_open_order_age_seconds)' },
      },
      {
        title: 'Compensations by trigger',
        unit: 'perSecond',
        queries: { '{{reason}}': sumOfRate('order_compensations_total', 'reason') },
      },
      {
        title: 'Admission control',
        unit: 'perSecond',
        queries: {
          '{{result}}': sumOfRate('admission_control_orders_total', 'result'),
        },
      },
      {
        title: 'Orders that wait to be decided',
        unit: 'count',
        queries: { '{{instance}}': 'admission_control_queued_orders' },
      },
    ],
    'Stock and payments': [
      {
        title: 'Reservations',
        unit: 'perSecond',
        queries: { '{{status}}': sumOfRate('inventory_reservations_total', 'status') },
      },
      {
        title: 'Available stock',
        unit: 'count',
        description: 'The twenty products that run out first.',
        queries: { '{{product}}': 'min by (product) (current_stock)' },
      },
      {
        title: 'Stock above the threshold',
        unit: 'count',
        queries: { '{{product}}': 'min by (product) (current_stock - low_stock_threshold)' },
      },
      {
        title: 'Payments',
        unit: 'perSecond',
        queries: { '{{status}}': sumOfRate('payments_processed_total', 'status') },
      },
      {
        title: 'Duration of calls to the provider',
        unit: 'seconds',
        exemplars: true,
        queries: { '{{step}}': quantile(0.95, 'payment_provider_duration_seconds_bucket', 'step') },
      },
      {
        title: 'Answers of the provider',
        unit: 'perSecond',
        queries: { '{{outcome}}': sumOfRate('payment_provider_duration_seconds_count', 'outcome') },
      },
    ],
    'Parcels, e-mails and accounts': [
      {
        title: 'Parcels',
        unit: 'perSecond',
        queries: { '{{status}}': sumOfRate('shipment_transitions_total', 'status') },
      },
      {
        title: 'E-mails',
        unit: 'perSecond',
        queries: { '{{outcome}}': sumOfRate('emails_total', 'outcome') },
      },
      {
        title: 'Accounts',
        unit: 'perSecond',
        queries: {
          registrations: sumOfRate('users_registered_total'),
          logins: sumOfRate('users_logins_total'),
          'refreshed tokens': sumOfRate('users_tokens_refreshed_total'),
          'ended sessions': sumOfRate('users_sessions_ended_total'),
        },
      },
    ],
    Returns: [
      {
        title: 'Returns',
        unit: 'perSecond',
        queries: { '{{status}}': sumOfRate('return_transitions_total', 'status') },
      },
      {
        title: 'Duration of their steps',
        unit: 'seconds',
        exemplars: true,
        queries: { '{{step}}': quantile(0.95, 'return_step_duration_seconds_bucket', 'step') },
      },
      {
        title: 'Failed steps and resumed workflows',
        unit: 'perSecond',
        queries: {
          '{{step}} failed': sumOfRate('return_step_failures_total', 'step'),
          '{{action}}': sumOfRate('return_workflows_resumed_total', 'action'),
        },
      },
      {
        title: 'Returns whose workflow is due',
        unit: 'count',
        queries: { '{{instance}}': 'return_workflows_due' },
      },
    ],
    'What is repaired': [
      {
        title: 'Redeliveries by cause',
        unit: 'perSecond',
        queries: { '{{service}} {{cause}}': sumOfRate('event_redeliveries_total', 'service', 'cause') },
      },
      {
        title: 'Dead letters',
        unit: 'count',
        description: 'In the last hour.',
        queries: { '{{type}}': 'sum by (type) (increase(dead_letters_total[1h]))' },
      },
      {
        title: 'Actions of watchdogs',
        unit: 'perSecond',
        queries: { '{{action}}': sumOfRate('order_watchdog_actions_total', 'action') },
      },
      {
        title: 'Entries of work lists',
        unit: 'count',
        description: 'Orders, shipments and users that a sweep will look at. A list has room for 32,000.',
        queries: { '{{service}}': 'max by (service) (work_list_entries)' },
      },
      {
        title: 'Orders replayed by rebuilds',
        unit: 'perSecond',
        queries: { orders: sumOfRate('history_rebuild_orders_total') },
      },
    ],
  },
};

const OF_SERVICE = 'service="$service"';

const service: DashboardDescription = {
  uid: 'sidecart-service',
  title: 'One service',
  description: 'Requests, events and resources of a service.',
  hasServiceVariable: true,
  rows: {
    Requests: [
      {
        title: 'Requests by route',
        unit: 'requestsPerSecond',
        queries: { '{{method}} {{route}}': sumOfRate(`requests_total{${OF_SERVICE}}`, 'method', 'route') },
      },
      {
        title: 'Requests by status',
        unit: 'requestsPerSecond',
        queries: { '{{status}}': sumOfRate(`requests_total{${OF_SERVICE}}`, 'status') },
      },
      {
        title: 'Duration of requests',
        unit: 'seconds',
        exemplars: true,
        queries: percentiles(`request_duration_seconds_bucket{${OF_SERVICE},${NO_STREAMS}}`),
      },
      {
        title: 'Slowest routes',
        unit: 'seconds',
        description: 'For 95 % of the requests.',
        queries: {
          '{{method}} {{route}}': `topk(5, ${quantile(0.95, `request_duration_seconds_bucket{${OF_SERVICE},${NO_STREAMS}}`, 'method', 'route')})`,
        },
      },
      {
        title: 'Open connections',
        unit: 'count',
        queries: { '{{instance}} {{protocol}}': `active_connections{${OF_SERVICE}}` },
      },
      {
        title: 'Redeliveries by event and cause',
        unit: 'perSecond',
        queries: {
          '{{event}} {{cause}}': sumOfRate(`event_redeliveries_total{${OF_SERVICE}}`, 'event', 'cause'),
        },
      },
    ],
    Resources: [
      ...processes(`job="${JOBS.services}",${OF_SERVICE}`, '{{instance}}'),
      {
        title: 'Delay of the event loop',
        unit: 'seconds',
        description: 'An idle process has 0.1 s, the interval of the measurement.',
        queries: {
          'half within {{instance}}': `nodejs_eventloop_lag_p50_seconds{${OF_SERVICE}}`,
          '99 % within {{instance}}': `nodejs_eventloop_lag_p99_seconds{${OF_SERVICE}}`,
        },
      },
      {
        title: 'Heap',
        unit: 'bytes',
        queries: {
          'used {{instance}}': `nodejs_heap_size_used_bytes{${OF_SERVICE}}`,
          'total {{instance}}': `nodejs_heap_size_total_bytes{${OF_SERVICE}}`,
        },
      },
      {
        title: 'Time for garbage collection',
        unit: 'ratio',
        description: 'Share of one processor.',
        queries: { '{{kind}}': sumOfRate(`nodejs_gc_duration_seconds_sum{${OF_SERVICE}}`, 'kind') },
      },
    ],
    Gateway: [
      {
        title: 'Requests at the concurrency limiter',
        unit: 'count',
        description: 'It admits 100.',
        queries: { '{{instance}}': 'requests_in_progress' },
      },
      {
        title: 'Requests that it shed',
        unit: 'requestsPerSecond',
        queries: { '{{instance}}': sumOfRate('requests_shed_total', 'instance') },
      },
    ],
  },
};

const sidecars: DashboardDescription = {
  uid: 'sidecart-sidecars',
  title: 'Sidecars',
  description: 'What passes the sidecars, by service.',
  rows: {
    Calls: [
      {
        title: 'Calls of services to their sidecar',
        unit: 'requestsPerSecond',
        queries: { '{{service}}': sumOfRate('dapr_http_server_request_count', 'service') },
      },
      {
        title: 'Failed calls of services to their sidecar',
        unit: 'requestsPerSecond',
        queries: {
          '{{service}} {{status}}': sumOfRate(
            'dapr_http_server_request_count{status=~"4..|5.."}',
            'service',
            'status',
          ),
        },
      },
      {
        title: 'Duration of 95 % of these calls',
        unit: 'milliseconds',
        queries: { '{{service}}': quantile(0.95, 'dapr_http_server_latency_bucket', 'service') },
      },
      {
        title: 'Calls to other services',
        unit: 'requestsPerSecond',
        queries: {
          '{{service}} to {{dst_app_id}}': sumOfRate(
            'dapr_runtime_service_invocation_req_sent_total',
            'service',
            'dst_app_id',
          ),
        },
      },
      {
        title: 'Duration of 95 % of calls to the service',
        unit: 'milliseconds',
        queries: { '{{service}}': quantile(0.95, 'dapr_http_client_roundtrip_latency_bucket', 'service') },
      },
    ],
    Events: [
      {
        title: 'Published events',
        unit: 'perSecond',
        queries: { '{{topic}}': sumOfRate('dapr_component_pubsub_egress_count', 'topic') },
      },
      {
        title: 'Events that could not be published',
        unit: 'perSecond',
        queries: {
          '{{service}}': `${sumOfRate('dapr_component_pubsub_egress_count{success="false"}', 'service')} or 0 * ${sumOfRate('dapr_component_pubsub_egress_count', 'service')}`,
        },
      },
      {
        title: 'Deliveries by result',
        unit: 'perSecond',
        queries: {
          '{{service}} {{process_status}}': sumOfRate(
            'dapr_component_pubsub_ingress_count',
            'service',
            'process_status',
          ),
        },
      },
      {
        title: 'Duration of 95 % of deliveries',
        unit: 'milliseconds',
        queries: {
          '{{service}}': quantile(0.95, 'dapr_component_pubsub_ingress_latencies_bucket', 'service'),
        },
      },
    ],
    'State and resiliency': [
      {
        title: 'Operations on state',
        unit: 'perSecond',
        queries: {
          '{{service}} {{operation}}': sumOfRate('dapr_component_state_count', 'service', 'operation'),
        },
      },
      {
        title: 'Failed operations on state',
        unit: 'perSecond',
        queries: {
          '{{service}}': `${sumOfRate('dapr_component_state_count{success="false"}', 'service')} or 0 * ${sumOfRate('dapr_component_state_count', 'service')}`,
        },
      },
      {
        title: 'Share of writes that fail',
        unit: 'ratio',
        description: 'Conflicts of writers included.',
        queries: { '{{service}}': shareOf(FAILED_STATE_WRITES, STATE_WRITES) },
      },
      {
        title: 'Duration of 95 % of operations on state',
        unit: 'milliseconds',
        queries: { '{{service}}': quantile(0.95, 'dapr_component_state_latencies_bucket', 'service') },
      },
      {
        title: 'Open circuit breakers',
        unit: 'count',
        queries: {
          '{{service}} to {{target}}': 'max by (service, target) (dapr_resiliency_cb_state{status="open"})',
        },
      },
    ],
    Resources: processes(`job="${JOBS.sidecars}"`, '{{service}} {{instance}}'),
  },
};

const objectives: DashboardDescription = {
  uid: 'sidecart-objectives',
  title: 'Objectives',
  description: 'How much of the error budget is left.',
  rows: Object.fromEntries(
    OBJECTIVES.map(({ name, title, target, good, total }): [string, Panel[]] => [
      title,
      [
        {
          title: 'Good events',
          unit: 'ratio',
          description: `The objective is ${100 * target} %.`,
          queries: {
            good: `${good} / ${total}`.replaceAll('[5m]', '[$__rate_interval]'),
            objective: `vector(${target})`,
          },
        },
        {
          title: 'Bad events by window',
          unit: 'ratio',
          queries: Object.fromEntries(
            WINDOWS.map((window) => [window, `${errorRatio(window)}{objective="${name}"}`]),
          ),
        },
        {
          title: 'Budget that three days used',
          unit: 'ratio',
          description: 'Of the budget of 30 days. More than 10 % is too fast.',
          queries: {
            used: `${errorRatio('3d')}{objective="${name}"} / ${Number((1 - target).toPrecision(6))} * 3 / 30`,
          },
        },
      ],
    ]),
  ),
};

export const DASHBOARDS: readonly DashboardDescription[] = [
  overview,
  business,
  service,
  sidecars,
  objectives,
];
