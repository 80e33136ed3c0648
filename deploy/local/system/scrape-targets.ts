import type { ScrapeTarget } from '../../observability/prometheus.ts';
import { readTemplate } from '../configuration/template.ts';
import { replicasOf } from './app-processes.ts';

/** The addresses of all metrics of a system on this machine. */
export function localScrapeTargets(
  offset: number,
  replicas: Readonly<Record<string, number>> = {},
): ScrapeTarget[] {
  const local = (port: number) => `127.0.0.1:${port + offset}`;
  return readTemplate()
    .apps.flatMap((app) => replicasOf(app, replicas[app.appID] ?? 1))
    .map(({ app: { appID, appPort, metricsPort, env } }) => ({
      service: appID,
      metrics: local(Number(env?.['OPERATOR_PORT'] ?? appPort)),
      sidecarMetrics: local(metricsPort),
    }));
}
