import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { root } from '../../deploy/local/machine/paths.ts';
import { alertsOf, type Alert } from '../../deploy/observability/rules.ts';
import { SERVICES } from '../../services/services.ts';

const RULES = join(root, 'deploy/observability/rules.yml');
const names = SERVICES.map(({ name }) => name);
const alerts = alertsOf(names);

/** Debian's package `prometheus` has it, and its system tests need that package too. */
const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'sidecart-rules-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Series by name and labels, in promtool's notation (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/). */
type Series = Record<string, string>;

interface Case {
  /** What makes the alert fire, with its labels besides `severity`. */
  fires: Series;
  labels?: Record<string, string>[];
  /** What is close, and must not make it fire. */
  quiet: Series;
  /** When it is looked at: after 30 minutes by default. */
  at?: string;
  /** The time between two samples: a minute by default. */
  step?: string;
}

/** A counter that grows by so many in each step, for two hours. */
const perMinute = (count: number) => `0+${count}x120`;
/** The same for the longest short window. A longer window has the same ratio, because it has the same samples. */
const SLOW = { at: '7h', step: '10m' };
const perStep = (count: number) => `0+${count}x42`;
const always = (value: number) => `${value}x60`;

const ORDER = 'service="gateway",protocol="http",method="POST",route="/api/orders"';
const READ = 'service="gateway",protocol="http",method="GET",route="/api/orders/:id"';
const CREATED = (status: number | string) => `requests_total{${ORDER},status="${status}"}`;
const DECIDED = (part: string) => `order_decision_duration_seconds_${part}`;
const SERVED = (part: string, more = '') => `request_duration_seconds_${part}{${READ},status="200"${more}}`;
const WRITES = (operation: string, success: boolean) =>
  `dapr_component_state_count{service="orders",operation="${operation}",success="${success}"}`;
const AT = 'service="orders",instance="a"';
const IN_JOB = `job="services",${AT}`;
const where = { service: 'orders', instance: 'a' };

/** Every target of Prometheus answers. */
const allUp = Object.fromEntries(
  ['services', 'sidecars'].flatMap((job) =>
    names.map((service) => [`up{job="${job}",service="${service}"}`, always(1)]),
  ),
);
const withoutUsers = Object.fromEntries(
  Object.entries(allUp).filter(([series]) => series !== 'up{job="services",service="users"}'),
);

const latency = (service: string, route: string, [fast, slow]: [number, number]) => {
  const labels = `service="${service}",method="GET",route="${route}",status="200"`;
  return {
    [`request_duration_seconds_bucket{${labels},le="0.5"}`]: perMinute(fast),
    [`request_duration_seconds_bucket{${labels},le="2"}`]: perMinute(fast + slow),
    [`request_duration_seconds_bucket{${labels},le="+Inf"}`]: perMinute(fast + slow),
  };
};

const CASES: Record<string, Case> = {
  AcceptanceBudgetBurnsFast: {
    at: '2h',
    labels: [{ objective: 'acceptance' }],
    fires: { [CREATED(201)]: perMinute(98), [CREATED(503)]: perMinute(2) },
    // The budget is 0.1 %, and 1 % burns it ten times too fast. Requests that the client has to correct do not count.
    quiet: { [CREATED(201)]: perMinute(995), [CREATED(503)]: perMinute(5), [CREATED(422)]: perMinute(500) },
  },
  AcceptanceBudgetBurnsSlowly: {
    ...SLOW,
    labels: [{ objective: 'acceptance' }],
    fires: {
      [CREATED(201)]: perStep(1_995),
      'requests_total{service="gateway",protocol="grpc",method="CreateOrder",route="sidecart.v1.OrderService",status="UNAVAILABLE"}':
        perStep(5),
    },
    quiet: { [CREATED(201)]: perStep(19_990), [CREATED(500)]: perStep(10) },
  },
  DecisionBudgetBurnsFast: {
    at: '2h',
    labels: [{ objective: 'decision' }],
    fires: { [DECIDED('count')]: perMinute(100), [DECIDED('bucket{le="2"}')]: perMinute(20) },
    quiet: { [DECIDED('count')]: perMinute(100), [DECIDED('bucket{le="2"}')]: perMinute(90) },
  },
  DecisionBudgetBurnsSlowly: {
    ...SLOW,
    labels: [{ objective: 'decision' }],
    fires: { [DECIDED('count')]: perStep(100), [DECIDED('bucket{le="2"}')]: perStep(90) },
    quiet: { [DECIDED('count')]: perStep(100), [DECIDED('bucket{le="2"}')]: perStep(96) },
  },
  ReadsBudgetBurnsFast: {
    at: '2h',
    labels: [{ objective: 'reads' }],
    fires: { [SERVED('count')]: perMinute(100), [SERVED('bucket', ',le="0.3"')]: perMinute(98) },
    quiet: {
      [SERVED('count')]: perMinute(1_000),
      [SERVED('bucket', ',le="0.3"')]: perMinute(999),
      // A stream is open as long as its client wants.
      'request_duration_seconds_count{service="gateway",method="GET",route="/api/orders/:id/stream",status="200"}':
        perMinute(100),
    },
  },
  ReadsBudgetBurnsSlowly: {
    ...SLOW,
    labels: [{ objective: 'reads' }],
    // Quick failures are no answers.
    fires: {
      [SERVED('count')]: perStep(998),
      [SERVED('bucket', ',le="0.3"')]: perStep(998),
      [`request_duration_seconds_count{${READ},status="503"}`]: perStep(2),
      [`request_duration_seconds_bucket{${READ},status="503",le="0.3"}`]: perStep(2),
    },
    quiet: { [SERVED('count')]: perStep(10_000), [SERVED('bucket', ',le="0.3"')]: perStep(9_995) },
  },
  ServiceDown: {
    fires: { [`up{${IN_JOB}}`]: '1 1 0x60' },
    labels: [{ job: 'services', ...where }],
    quiet: { [`up{${IN_JOB}}`]: always(1) },
  },
  SidecarDown: {
    fires: { [`up{job="sidecars",${AT}}`]: '1 1 0x60' },
    labels: [{ job: 'sidecars', ...where }],
    quiet: { [`up{job="sidecars",${AT}}`]: always(1) },
  },
  ExporterSilent: {
    fires: withoutUsers,
    labels: [{ job: 'services', service: 'users' }],
    quiet: allUp,
  },
  ErrorRateHigh: {
    fires: {
      'requests_total{service="orders",status="200"}': perMinute(90),
      'requests_total{service="orders",status="500"}': perMinute(10),
    },
    labels: [{ service: 'orders' }],
    quiet: {
      'requests_total{service="orders",status="200"}': perMinute(90),
      'requests_total{service="orders",status="404"}': perMinute(10),
    },
  },
  LatencyHigh: {
    fires: latency('gateway', '/api/orders', [90, 10]),
    labels: [{ service: 'gateway' }],
    quiet: {
      ...latency('gateway', '/api/orders', [96, 4]),
      ...latency('gateway', '/api/orders/:id/stream', [0, 500]),
      ...latency('payments', '/events/payment.requested', [0, 100]),
    },
  },
  OrdersStuck: {
    fires: {
      'stuck_orders{status="PAID",instance="a"}': always(2),
      'stuck_orders{status="PENDING"}': always(0),
    },
    labels: [{ status: 'PAID' }],
    quiet: { 'stuck_orders{status="PAID"}': always(0) },
  },
  OrdersShed: {
    fires: { 'admission_control_orders_total{result="shed"}': perMinute(5) },
    labels: [{}],
    quiet: {
      'admission_control_orders_total{result="shed"}': always(5),
      'admission_control_orders_total{result="accepted"}': perMinute(100),
    },
  },
  GatewayOverloaded: {
    fires: { requests_shed_total: perMinute(5) },
    labels: [{}],
    quiet: { requests_shed_total: always(5) },
  },
  WorkLate: {
    fires: { 'work_list_late_seconds{service="orders",instance="a"}': always(61) },
    labels: [{ service: 'orders' }],
    quiet: { 'work_list_late_seconds{service="orders",instance="a"}': always(30) },
  },
  ReturnsLate: {
    fires: { 'return_workflows_due{instance="a"}': always(2) },
    labels: [{}],
    quiet: { 'return_workflows_due{instance="a"}': '2x4 0x60' },
  },
  DeadLetters: {
    fires: { 'dead_letters_total{type="order.paid"}': '0x10 1x60' },
    at: '12m',
    labels: [{ type: 'order.paid' }],
    quiet: { 'dead_letters_total{type="order.paid"}': always(7) },
  },
  RedeliveriesHigh: {
    fires: { 'event_redeliveries_total{service="payments",cause="sidecar",event="x"}': perMinute(60) },
    labels: [{ service: 'payments', cause: 'sidecar' }],
    quiet: { 'event_redeliveries_total{service="payments",cause="sidecar",event="x"}': perMinute(6) },
  },
  PaymentProviderSlow: {
    fires: {
      'payment_provider_duration_seconds_bucket{step="capture",outcome="approved",le="1"}': perMinute(10),
      'payment_provider_duration_seconds_bucket{step="capture",outcome="approved",le="2"}': perMinute(100),
      'payment_provider_duration_seconds_bucket{step="capture",outcome="approved",le="+Inf"}': perMinute(100),
    },
    labels: [{ step: 'capture' }],
    quiet: {
      'payment_provider_duration_seconds_bucket{step="capture",outcome="approved",le="1"}': perMinute(96),
      'payment_provider_duration_seconds_bucket{step="capture",outcome="approved",le="2"}': perMinute(100),
      'payment_provider_duration_seconds_bucket{step="capture",outcome="approved",le="+Inf"}': perMinute(100),
    },
  },
  CircuitBreakerOpen: {
    fires: { 'dapr_resiliency_cb_state{service="orders",target="app_inventory",status="open"}': always(1) },
    labels: [{ service: 'orders', target: 'app_inventory' }],
    quiet: {
      'dapr_resiliency_cb_state{service="orders",target="app_inventory",status="open"}': always(0),
      'dapr_resiliency_cb_state{service="orders",target="app_inventory",status="closed"}': always(1),
    },
  },
  StateWritesFail: {
    fires: {
      [WRITES('set', false)]: perMinute(20),
      [WRITES('transaction', false)]: perMinute(20),
      // Reads of a full disk succeed.
      [WRITES('get', true)]: perMinute(500),
    },
    labels: [{ service: 'orders' }],
    // Of five writers that collide, four fail. Reads may fail alone.
    quiet: {
      [WRITES('transaction', false)]: perMinute(80),
      [WRITES('transaction', true)]: perMinute(20),
      [WRITES('get', false)]: perMinute(500),
    },
  },
  EmailsFail: {
    fires: { 'emails_total{kind="order.paid",outcome="failed"}': perMinute(1) },
    labels: [{}],
    quiet: { 'emails_total{kind="order.paid",outcome="sent"}': perMinute(10) },
  },
  StockLow: {
    fires: {
      'current_stock{product="mug",instance="a"}': always(3),
      'low_stock_threshold{product="mug",instance="a"}': always(5),
    },
    labels: [{ product: 'mug' }],
    quiet: {
      'current_stock{product="mug"}': always(6),
      'low_stock_threshold{product="mug"}': always(5),
    },
  },
  CpuHigh: {
    fires: { [`process_cpu_seconds_total{${IN_JOB}}`]: perMinute(59) },
    labels: [{ job: 'services', ...where }],
    quiet: { [`process_cpu_seconds_total{${IN_JOB}}`]: perMinute(40) },
  },
  MemoryHigh: {
    fires: { [`process_resident_memory_bytes{${IN_JOB}}`]: always(300e6) },
    labels: [{ job: 'services', ...where }],
    quiet: { [`process_resident_memory_bytes{${IN_JOB}}`]: always(150e6) },
  },
  EventLoopSlow: {
    fires: { [`nodejs_eventloop_lag_p99_seconds{${IN_JOB}}`]: always(0.8) },
    labels: [{ job: 'services', ...where }],
    // An idle process has the interval of the measurement.
    quiet: { [`nodejs_eventloop_lag_p99_seconds{${IN_JOB}}`]: always(0.1) },
  },
  ConnectionsHigh: {
    fires: {
      [`active_connections{${AT},protocol="http"}`]: always(900),
      [`active_connections{${AT},protocol="grpc"}`]: always(200),
    },
    labels: [where],
    quiet: { [`active_connections{${AT},protocol="http"}`]: always(900) },
  },
  FileDescriptorsHigh: {
    fires: { [`process_open_fds{${IN_JOB}}`]: always(800), [`process_max_fds{${IN_JOB}}`]: always(1_000) },
    labels: [{ job: 'services', ...where }],
    quiet: { [`process_open_fds{${IN_JOB}}`]: always(80), [`process_max_fds{${IN_JOB}}`]: always(1_000) },
  },
};

/** The test of an alert for promtool, which compares the labels of the alerts that fire. */
function unitTest({ alert: alertname, labels: own }: Alert, kind: 'fires' | 'quiet') {
  const { at = '30m', step = '1m', labels = [], ...given } = CASES[alertname]!;
  const expected = kind === 'fires' ? labels.map((more) => ({ exp_labels: { ...own, ...more } })) : [];
  return {
    interval: step,
    input_series: Object.entries(given[kind]).map(([series, values]) => ({ series, values })),
    alert_rule_test: [{ eval_time: at, alertname, exp_alerts: expected }],
  };
}

/** Runs a test per alert. @returns the output, which names the alerts that are not as expected */
function promtool(kind: 'fires' | 'quiet'): { status: number | null; output: string } {
  // The texts of alerts contain values. Each step evaluates the rules once.
  const rules = readFileSync(RULES, 'utf8').replaceAll(
    /^ +(annotations|summary|runbook_url|interval):.*\n/gm,
    '',
  );
  writeFileSync(join(folder, 'rules.yml'), rules);
  const order = [...rules.matchAll(/^ {2}- name: (.*)$/gm)].map(([, name]) => name);
  const tests = alerts.map((alert) => unitTest(alert, kind));
  const files = [...new Set(tests.map(({ interval }) => interval))].map((step) => {
    const file = join(folder, `${kind}-${step}.yml`);
    const ofStep = tests.filter(({ interval }) => interval === step);
    const content = {
      rule_files: ['rules.yml'],
      evaluation_interval: step,
      group_eval_order: order,
      tests: ofStep,
    };
    writeFileSync(file, stringify(content));
    return file;
  });
  const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', ...files], { encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

describe('the alerts', () => {
  it('have a case each', () => {
    expect(Object.keys(CASES).toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted());
  });

  it('have a summary, a severity, and a complete section in the runbooks', () => {
    const runbooks = readFileSync(join(root, 'deploy/observability/runbooks.md'), 'utf8');
    const sections = new Map(
      [...runbooks.matchAll(/^## (\w+)\n(.*?)(?=^## |(?![^]))/gms)].map(([, name = '', text = '']) => [
        name,
        text,
      ]),
    );
    expect([...sections.keys()].toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted());
    for (const { alert, annotations } of alerts) {
      expect(annotations.runbook_url).toBe(`deploy/observability/runbooks.md#${alert.toLowerCase()}`);
      const parts = [...(sections.get(alert) ?? '').matchAll(/^- \*\*([^*]+)\.\*\*/gm)];
      const named = parts.flatMap(([, title = '']) => title.toLowerCase().split(', '));
      expect([alert, named.filter((name) => name !== 'caused')]).toEqual([
        alert,
        ['meaning', 'panel', 'trace', 'log', 'do'],
      ]);
    }
  });
});

describe.skipIf(!hasPromtool)('promtool (skipped where Debian’s package prometheus is missing)', () => {
  it('accepts the rules and the configurations that it knows', () => {
    for (const [check, file] of [
      ['rules', 'rules.yml'],
      ['config', 'prometheus.yml'],
      ['config', 'prometheus-compose.yml'],
    ] as const) {
      const path = join(root, 'deploy/observability', file);
      const { status, stdout, stderr } = spawnSync('promtool', ['check', check, path], { encoding: 'utf8' });
      expect([file, status, stdout + stderr]).toEqual([file, 0, expect.any(String)]);
    }
  });

  it.each(['fires', 'quiet'] as const)(
    'each alert is as expected in its case: %s',
    { timeout: 120_000 },
    (kind) => {
      const { status, output } = promtool(kind);
      expect(output).not.toContain('FAILED');
      expect([status, output.match(/SUCCESS/g)]).toEqual([0, ['SUCCESS', 'SUCCESS']]);
    },
  );

  it('names an alert that does not fire', { timeout: 120_000 }, () => {
    const [known] = alerts;
    const kept = CASES[known!.alert]!;
    CASES[known!.alert] = { ...kept, fires: kept.quiet };
    const { status, output } = promtool('fires');
    CASES[known!.alert] = kept;
    expect([status, output]).toEqual([1, expect.stringContaining(`alertname: ${known!.alert}`)]);
  });
});
