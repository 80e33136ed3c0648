import { afterEach, describe, expect, it } from 'vitest';
import { SERVICES } from '../../services/services.ts';
import { closeServer, listen } from '../../services/shared/http/listen.ts';
import { createBackgroundLoad } from '../../services/shared/telemetry/background-load.ts';
import { metricsOf } from '../../services/shared/api-docs/openapi-service.ts';
import type { ServiceDescription } from '../../services/shared/api-docs/route-table.ts';
import { createLogger } from '../../services/shared/telemetry/logger.ts';
import {
  createCounter,
  createGauge,
  createHistogram,
  createMetrics,
} from '../../services/shared/telemetry/metrics.ts';
import { runInRequest } from '../../services/shared/telemetry/request-context.ts';
import { APPS } from '../support/apps.ts';
import { startService, type ServiceUnderTest } from '../support/service-under-test.ts';
import { waitFor } from '../support/wait.ts';

/** Gauges are numbers of things, or have a unit. */
const ENDINGS = { counter: /_total$/, histogram: /_seconds$/, gauge: /[a-z]$/ };

const OF_PROCESS = /^(process|nodejs)_/;

/** The metrics of a scrape, as `counter orders_created_total`. */
function registeredIn(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
    .filter(([, name = '']) => !OF_PROCESS.test(name))
    .map(([, name = '', type = '']) => `${type} ${name}${type === 'counter' ? '_total' : ''}`);
}

/** The labels of each metric of a scrape, `le` left out. */
function labelsIn(text: string): Map<string, Set<string>> {
  const labels = new Map<string, Set<string>>();
  for (const [, sample = '', given = ''] of text.matchAll(/^([a-z_]+)\{(.*?)\} \S+/gm)) {
    const name = sample.replace(/_(bucket|sum|count)$/, '');
    const known = labels.get(name) ?? new Set();
    for (const [, label = ''] of given.matchAll(/(\w+)="/g)) if (label !== 'le') known.add(label);
    labels.set(name, known);
  }
  return labels;
}

let service: ServiceUnderTest | undefined;
afterEach(async () => {
  await service?.stop();
  service = undefined;
});

describe.each<ServiceDescription>([...SERVICES])('$name', (description) => {
  const { name, metrics: own = {} } = description;
  const declared = metricsOf(description);

  it('has exactly the declared metrics, with their types and labels', async () => {
    let metrics = createMetrics();
    service = await startService((deps) => {
      metrics = deps.metrics;
      return APPS[name]!(deps);
    });
    const server = await listen((_req, res) => void res.end(), 0, '127.0.0.1', { metrics });
    await metrics.metrics();
    const text = await metrics.metrics();
    await closeServer(server);
    expect(registeredIn(text).toSorted()).toEqual(
      declared.map((one) => `${one.type} ${one.name}`).toSorted(),
    );
    for (const [metric, labels] of labelsIn(text)) {
      if (OF_PROCESS.test(metric)) continue;
      const { labels: expected = {} } = declared.find((one) => one.name === metric) ?? {};
      expect([metric, ...labels]).toEqual([metric, ...Object.keys(expected)]);
    }
  });

  it('has metrics with a unit or a known ending, and few series', () => {
    for (const { name: metric, type, labels } of Object.values(own)) {
      expect(metric).toMatch(ENDINGS[type]);
      const listed = Object.values(labels).filter((values) => typeof values !== 'string');
      expect(listed.reduce((product, values) => product * values.length, 1)).toBeLessThanOrEqual(80);
    }
  });
});

describe('a metric', () => {
  const COUNTED = { type: 'counter', name: 'a_total', help: 'a', labels: { kind: ['x', 'y'] } } as const;

  it('When its label values are listed, then every series starts at zero', async () => {
    const metrics = createMetrics();
    createCounter(metrics, COUNTED).inc({ kind: 'x' });
    expect(await metrics.metrics()).toContain('a_total{kind="x"} 1\na_total{kind="y"} 0\n');
  });

  it('When two parts of a service create it, then both count in it', async () => {
    const metrics = createMetrics();
    createCounter(metrics, COUNTED).inc({ kind: 'x' });
    await metrics.metrics();
    createCounter(metrics, COUNTED).inc({ kind: 'x' });
    expect(await metrics.metrics()).toContain('a_total{kind="x"} 2\n');
  });

  it('When several parts measure a gauge, then a scrape has the values of all', async () => {
    const metrics = createMetrics();
    const declared = { type: 'gauge', name: 'g', help: 'g', labels: { kind: ['x', 'y'] } } as const;
    createGauge(metrics, declared, (gauge) => gauge.set({ kind: 'x' }, 1));
    createGauge(metrics, declared, async (gauge) => gauge.set({ kind: 'y' }, 2));
    expect(await metrics.metrics()).toContain('g{kind="x"} 1\ng{kind="y"} 2\n');
  });

  it.each([
    ['01', true],
    ['00', false],
  ])('When a trace has the flags %s, then it is an exemplar: %s', async (flags, isExemplar) => {
    const metrics = createMetrics();
    // The first service under test installs the propagator of traces.
    service = await startService(APPS['users']!);
    const declared = { type: 'histogram', name: 'h_seconds', help: 'h', labels: {}, buckets: [1] } as const;
    const traceId = 'a'.repeat(32);
    runInRequest({ traceparent: `00-${traceId}-${'b'.repeat(16)}-${flags}` }, { request_id: 'r' }, () =>
      createHistogram(metrics, declared).observe({}, 0.5),
    );
    const text = await metrics.metrics();
    expect(text.includes(`h_seconds_bucket{le="1"} 1 # {trace_id="${traceId}"} 0.5 `)).toBe(isExemplar);
  });
});

describe('a value that is loaded in the background', () => {
  const log = createLogger('test', 'silent');

  it('When it is read, then the caller never waits, and loads are spaced by their duration', async () => {
    let [clock, loads] = [0, 0];
    let finish: (value: string) => void = () => {};
    const read = createBackgroundLoad(
      'x',
      log,
      () => {
        loads += 1;
        return new Promise<string>((resolve) => (finish = resolve));
      },
      () => clock,
    );
    expect([read(), read()]).toEqual([undefined, undefined]);
    clock = 1_000;
    finish('first');
    await waitFor('the value', read, { until: (value) => value === 'first' });
    clock = 49_999;
    read();
    expect(loads).toBe(1);
    clock = 50_000;
    expect([read(), loads]).toEqual(['first', 2]);
  });

  it('When a load fails, then the last value stays', async () => {
    let clock = 0;
    let answer: () => Promise<string> = async () => 'value';
    const read = createBackgroundLoad(
      'x',
      log,
      () => answer(),
      () => clock,
    );
    await waitFor('the value', read, { until: (value) => value === 'value' });
    answer = async () => Promise.reject(new Error('away'));
    clock = 20_000;
    read();
    await Promise.resolve();
    expect(read()).toBe('value');
  });
});
