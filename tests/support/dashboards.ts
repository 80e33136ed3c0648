import { DASHBOARDS } from '../../deploy/observability/dashboards.ts';
import type { Panel } from '../../deploy/observability/panels.ts';

/** A query of a panel, with its dashboard. */
export interface PanelQuery {
  where: string;
  unit: Panel['unit'];
  expr: string;
}

/** All queries of all panels. Variables have the values that Grafana would set for this service. */
export function panelQueries(service: string): PanelQuery[] {
  return DASHBOARDS.flatMap(({ title, rows }) =>
    Object.values(rows).flatMap((panels) =>
      panels.flatMap((panel) =>
        Object.entries(panel.queries).map(([legend, expr]) => ({
          where: `${title} / ${panel.title} / ${legend}`,
          unit: panel.unit,
          expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$service', service),
        })),
      ),
    ),
  );
}

/** Metrics of Dapr with durations in milliseconds, which their names do not say. */
const IN_MILLISECONDS = /\bdapr_\w+_(latency|latencies)_bucket/;

/** The units that fit a query, by the endings of its metric. */
export function unitsThatFit(expr: string): readonly Panel['unit'][] {
  if (isRatio(expr)) return ['ratio'];
  if (expr.includes('histogram_quantile')) return IN_MILLISECONDS.test(expr) ? ['milliseconds'] : ['seconds'];
  if (/increase\(/.test(expr)) return ['count'];
  // Seconds per second.
  if (/rate\(\w+_seconds(_total|_sum)\b/.test(expr)) return ['ratio'];
  if (/rate\(/.test(expr)) return ['perSecond', 'requestsPerSecond'];
  if (/_seconds\b/.test(expr)) return ['seconds'];
  if (/_bytes\b/.test(expr)) return ['bytes'];
  return ['count'];
}

const isRatio = (expr: string) =>
  expr.includes(' / ') || expr.includes('error_ratio') || expr.startsWith('vector(');
