import {
  collectDefaultMetrics,
  Counter,
  Gauge,
  Histogram,
  Registry,
  type OpenMetricsContentType,
} from 'prom-client';
import { exemplarLabels } from './request-context.ts';

/**
 * A metric as data. `createCounter` and its siblings register it, and deploy/observability/README.md lists it. So name, type,
 * labels and help are declared once.
 */
export interface MetricDeclaration {
  type: 'counter' | 'gauge' | 'histogram';
  /** With its unit, as https://prometheus.io/docs/practices/naming/ recommends. */
  name: string;
  help: string;
  /** The values of each label, or what bounds them. Each combination is a time series, so no label has an id as value. */
  labels: Readonly<Record<string, LabelValues>>;
  /** The upper bounds of a histogram, in the unit of its name. */
  buckets?: readonly number[];
}

type LabelValues = readonly string[] | string;

/** Metrics by the name that the code uses. */
export type MetricDeclarations = Readonly<Record<string, MetricDeclaration>>;

/** The labels that a caller passes: one of the listed values, or any text that is bounded otherwise. */
type LabelsOf<Metric extends MetricDeclaration> = {
  [Label in keyof Metric['labels']]: Metric['labels'][Label] extends readonly (infer Value)[]
    ? Value
    : string;
};

type Declared<Type extends MetricDeclaration['type']> = MetricDeclaration & { type: Type };

export interface CounterOf<Labels> {
  inc: (labels: Labels, by?: number) => void;
}

export interface GaugeOf<Labels> {
  set: (labels: Labels, value: number) => void;
  /** Removes all values. */
  reset: () => void;
}

export interface HistogramOf<Labels> {
  /** Counts a value. In a sampled trace, the trace becomes the exemplar of the value's bucket. */
  observe: (labels: Labels, value: number) => void;
}

/** The metrics of a process, for `GET /metrics`. */
export type Metrics = Registry<OpenMetricsContentType>;

/** The interval at which the event loop lag is measured. The default of 10 ms keeps an idle service busy. */
const LAG_INTERVAL_MS = 100;

/**
 * Creates a registry with the metrics of the process. On an idle process, the percentiles of `nodejs_eventloop_lag` are 0.1 s. Only
 * the OpenMetrics format has exemplars.
 */
export function createMetrics(): Metrics {
  // Only the constructor sets the content type, which its type does not know.
  const metrics = new (Registry as unknown as new (contentType: OpenMetricsContentType) => Metrics)(
    Registry.OPENMETRICS_CONTENT_TYPE,
  );
  collectDefaultMetrics({ register: metrics, eventLoopMonitoringPrecision: LAG_INTERVAL_MS });
  return metrics;
}

/** Registers a counter, or returns the registered one. */
export function createCounter<const One extends Declared<'counter'>>(
  metrics: Metrics,
  declared: One,
): CounterOf<LabelsOf<One>> {
  return findOrRegister(metrics, declared, () => {
    const counter = new Counter(optionsOf(metrics, declared));
    for (const labels of knownLabels(declared)) counter.inc(labels, 0);
    return counter;
  });
}

/**
 * Registers a gauge, or returns the registered one.
 *
 * @param collect sets the values at a scrape. It must be quick, because the scrape waits for it. A gauge may have several.
 */
export function createGauge<const One extends Declared<'gauge'>>(
  metrics: Metrics,
  declared: One,
  collect?: (gauge: GaugeOf<LabelsOf<One>>) => void | Promise<void>,
): GaugeOf<LabelsOf<One>> {
  const gauge: GaugeOf<LabelsOf<One>> = findOrRegister(metrics, declared, () => {
    const collectors: Collector[] = [];
    const created = new Gauge({
      ...optionsOf(metrics, declared),
      collect: async () => void (await Promise.all(collectors.map(async (one) => one(created)))),
    });
    collectorsOf.set(created, collectors);
    return created as GaugeOf<LabelsOf<One>>;
  });
  if (collect) collectorsOf.get(gauge)?.push(collect as Collector);
  return gauge;
}

/** Registers a histogram, or returns the registered one. */
export function createHistogram<const One extends Declared<'histogram'>>(
  metrics: Metrics,
  declared: One,
): HistogramOf<LabelsOf<One>> {
  const histogram = findOrRegister(metrics, declared, () => {
    const buckets = [...(declared.buckets ?? [])];
    const created = new Histogram({ ...optionsOf(metrics, declared), buckets, enableExemplars: true });
    for (const labels of knownLabels(declared)) created.zero(labels);
    return created;
  });
  return {
    observe(labels, value) {
      const exemplar = exemplarLabels();
      histogram.observe({
        labels: labels as Record<string, string>,
        value,
        ...(exemplar ? { exemplarLabels: exemplar } : {}),
      });
    },
  };
}

type Collector = (gauge: Gauge) => void | Promise<void>;
const collectorsOf = new WeakMap<object, Collector[]>();

/** Several parts of a service may use the same metric. */
function findOrRegister<Metric>(metrics: Metrics, { name }: MetricDeclaration, create: () => Metric): Metric {
  return (metrics.getSingleMetric(name) as Metric | undefined) ?? create();
}

function optionsOf(metrics: Metrics, { name, help, labels }: MetricDeclaration) {
  return { name, help, labelNames: Object.keys(labels), registers: [metrics] };
}

/**
 * Every combination of labels, if all their values are listed. These series start at zero, because Prometheus cannot tell the
 * increase of a series that appears with its first event.
 */
function knownLabels({ labels }: MetricDeclaration): Record<string, string>[] {
  const known = Object.entries(labels).filter((entry): entry is [string, string[]] =>
    Array.isArray(entry[1]),
  );
  if (known.length < Object.keys(labels).length) return [];
  return known.reduce<Record<string, string>[]>(
    (combinations, [label, values]) =>
      combinations.flatMap((others) => values.map((value) => ({ ...others, [label]: value }))),
    [{}],
  );
}
