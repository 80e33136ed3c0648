import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { root } from '../../deploy/local/machine/paths.ts';
import { localScrapeTargets } from '../../deploy/local/system/scrape-targets.ts';
import { DASHBOARDS } from '../../deploy/observability/dashboards.ts';
import { externalMetrics, metricsUsed } from '../../deploy/observability/metrics-table.ts';
import { UNITS } from '../../deploy/observability/panels.ts';
import { kubernetesConfig, localTargets } from '../../deploy/observability/prometheus.ts';
import { SERVICES } from '../../services/services.ts';
import { COMMON_METRICS } from '../../services/shared/telemetry/common-metrics.ts';
import type { MetricDeclaration } from '../../services/shared/telemetry/metrics.ts';
import { panelQueries, unitsThatFit } from '../support/dashboards.ts';

const folder = join(root, 'deploy/observability');
const panelSchema = z.looseObject({
  id: z.int().positive(),
  type: z.enum(['row', 'timeseries']),
  title: z.string().min(1),
  fieldConfig: z.looseObject({ defaults: z.looseObject({ unit: z.enum(Object.values(UNITS)) }) }).optional(),
  targets: z
    .array(z.looseObject({ expr: z.string().min(1), refId: z.string(), legendFormat: z.string() }))
    .optional(),
});
const dashboardSchema = z.looseObject({ uid: z.string(), panels: z.array(panelSchema).min(5) });

describe('the dashboards', () => {
  it.each(DASHBOARDS)('$uid.json has panels with their own ids, units and queries', ({ uid }) => {
    const file = join(folder, 'grafana/dashboards', `${uid}.json`);
    const dashboard = dashboardSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    expect(dashboard.uid).toBe(uid);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    for (const { type, fieldConfig, targets = [] } of dashboard.panels)
      expect([type === 'row', fieldConfig === undefined, targets.length === 0]).toEqual(
        type === 'row' ? [true, true, true] : [false, false, false],
      );
  });

  it('have units that fit their queries', () => {
    const wrong = panelQueries('orders').filter(({ unit, expr }) => !unitsThatFit(expr).includes(unit));
    expect(wrong).toEqual([]);
  });

  it('use a data source that is provisioned', () => {
    const file = join(folder, 'grafana/provisioning/datasources/sidecart.yml');
    const { datasources } = parse(readFileSync(file, 'utf8')) as { datasources: { uid: string }[] };
    const uids = datasources.map(({ uid }) => uid);
    for (const { uid } of DASHBOARDS) {
      const text = readFileSync(join(folder, 'grafana/dashboards', `${uid}.json`), 'utf8');
      for (const [, used] of text.matchAll(/"type": "prometheus", "uid": "([^"]+)"/g))
        expect(uids).toContain(used);
    }
  });
});

describe('the metrics of alerts and panels', () => {
  const declared = [COMMON_METRICS, ...SERVICES.map(({ metrics = {} }) => metrics)].flatMap(
    (metrics): MetricDeclaration[] => Object.values(metrics),
  );
  const used = metricsUsed(SERVICES.map(({ name }) => name));
  const base = (name: string) => name.replace(/_(bucket|sum|count)$/, '');

  it('are declared, or metrics of others that the table lists', () => {
    const known = new Set([
      ...declared.map(({ name }) => name),
      ...externalMetrics().flatMap(({ name }) => [name, base(name)]),
    ]);
    expect([...used].filter((name) => !known.has(name) && !known.has(base(name)))).toEqual([]);
    expect(externalMetrics().filter(({ name }) => !used.has(name))).toEqual([]);
  });

  it('are all that are declared', () => {
    const bases = new Set([...used].map(base));
    expect(declared.map(({ name }) => name).filter((name) => !bases.has(name) && !used.has(name))).toEqual(
      [],
    );
  });

  it('have no name twice', () => {
    expect(new Set(declared.map(({ name }) => name)).size).toBe(declared.length);
  });
});

describe('the scrape configuration of one machine', () => {
  it('has the ports of dapr.yaml', () => {
    expect(localTargets(SERVICES.map(({ name }) => name))).toEqual(localScrapeTargets(0));
  });
});

describe('the Compose file', () => {
  it('adds containers to those of deploy/compose, and reads files that exist', () => {
    const { services } = parse(readFileSync(join(folder, 'compose.yaml'), 'utf8')) as {
      services: Record<string, { volumes: string[]; command?: string[] }>;
    };
    expect(Object.keys(services)).toEqual(['prometheus', 'grafana']);
    const mounts = Object.values(services)
      .flatMap(({ volumes }) => volumes)
      .filter((volume) => volume.startsWith('.'))
      .map((volume) => join(root, 'deploy/compose', volume.split(':')[0] ?? ''));
    expect(mounts.filter((path) => !existsSync(path))).toEqual([]);
    const compose = readFileSync(join(root, 'deploy/compose/compose.yaml'), 'utf8');
    expect(compose).toContain('--metrics-listen-address=${METRICS_HOST:-127.0.0.1}');
  });
});

describe('the scrape configuration for Kubernetes', () => {
  const names = SERVICES.map(({ name }) => name);
  const { scrape_configs: jobs } = kubernetesConfig(names, []);
  /** Whether a job keeps a port of a pod. Prometheus matches the whole text. */
  const keeps = (job: string, service: string, port: string) => {
    const [keep] = jobs.find(({ job_name }) => job_name === job)?.relabel_configs ?? [];
    return new RegExp(`^(?:${keep?.regex ?? ''})$`).test(`${service};${port}`);
  };
  /** The names of the ports: those of the service, and those that Dapr's injector adds. */
  const portsOf = (service: string) => {
    const file = join(root, `deploy/kubernetes/base/services/${service}.yaml`);
    const own = [...readFileSync(file, 'utf8').matchAll(/name: (\w+), containerPort: (\d+)/g)];
    return [...own.map(([, name = '']) => name), 'dapr-http', 'dapr-grpc', 'dapr-internal', 'dapr-metrics'];
  };

  it.each(names)('scrapes one port of %s and one of its sidecar', (service) => {
    const kept = (job: string) => portsOf(service).filter((port) => keeps(job, service, port));
    expect(kept('services')).toEqual([service === 'gateway' ? 'operator' : 'http']);
    expect(kept('sidecars')).toEqual(['dapr-metrics']);
  });
});
