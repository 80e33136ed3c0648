import { stringify } from 'yaml';
import type { ServiceDescription } from '../../services/shared/api-docs/route-table.ts';
import { DASHBOARDS } from '../observability/dashboards.ts';
import { buildDashboard } from '../observability/panels.ts';
import {
  composeTargets,
  kubernetesConfig,
  localTargets,
  prometheusConfig,
} from '../observability/prometheus.ts';
import { ruleGroups } from '../observability/rules.ts';
import { metricsTable } from '../observability/metrics-table.ts';
import { HEADER, replace, type Edit } from './edit.ts';

const FOLDER = 'deploy/observability';

/** What Prometheus and Grafana read. */
export function observabilityEdits(services: readonly ServiceDescription[]): Edit[] {
  const names = services.map(({ name }) => name);
  const yaml = (document: unknown) => () => HEADER + stringify(document, { lineWidth: 0 });
  const rules = ['rules.yml'];
  return [
    [`${FOLDER}/prometheus.yml`, yaml(prometheusConfig(localTargets(names), rules))],
    [`${FOLDER}/prometheus-compose.yml`, yaml(prometheusConfig(composeTargets(names), rules))],
    [`${FOLDER}/prometheus-kubernetes.yml`, yaml(kubernetesConfig(names, rules))],
    [`${FOLDER}/rules.yml`, yaml(ruleGroups(names))],
    [
      `${FOLDER}/README.md`,
      (text) => replace(text, /\| metric +\| type[\s\S]*?\n\n/, `${metricsTable(services)}\n\n`),
    ],
    ...DASHBOARDS.map((dashboard): Edit => [
      `${FOLDER}/grafana/dashboards/${dashboard.uid}.json`,
      () => JSON.stringify(buildDashboard(dashboard)),
    ]),
  ];
}
