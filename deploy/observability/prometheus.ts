/** The processes that Prometheus scrapes: a service, and its sidecar. */
export interface ScrapeTarget {
  service: string;
  /** The address of the service's `/metrics`, as `host:port`. */
  metrics: string;
  /** The address of its sidecar's `/metrics`. */
  sidecarMetrics: string;
}

/** The jobs, whose metrics have these values of the label `job`. */
export const JOBS = { services: 'services', sidecars: 'sidecars' } as const;

/** A shorter interval shows a fault earlier, and needs more memory. */
const LOCAL_INTERVAL = '10s';
const CLUSTER_INTERVAL = '15s';

const common = (interval: string, ruleFiles: readonly string[]) => ({
  global: { scrape_interval: interval, evaluation_interval: interval },
  rule_files: ruleFiles,
});

/**
 * The configuration of Prometheus for processes with known addresses: one machine, or Compose. Every metric has the label
 * `service`, and `job` tells services from sidecars.
 */
export function prometheusConfig(targets: readonly ScrapeTarget[], ruleFiles: readonly string[]) {
  const job = (name: string, addressOf: (target: ScrapeTarget) => string) => ({
    job_name: name,
    static_configs: targets.map((target) => ({
      targets: [addressOf(target)],
      labels: { service: target.service },
    })),
  });
  return {
    ...common(LOCAL_INTERVAL, ruleFiles),
    scrape_configs: [
      job(JOBS.services, ({ metrics }) => metrics),
      job(JOBS.sidecars, ({ sidecarMetrics }) => sidecarMetrics),
    ],
  };
}

/** The targets on one machine. The ports of a service follow from its position (deploy/generate/containers.ts). */
export function localTargets(services: readonly string[]): ScrapeTarget[] {
  return services.map((service, position) => ({
    service,
    metrics: `127.0.0.1:${service === 'gateway' ? 8079 : 8080 + position}`,
    sidecarMetrics: `127.0.0.1:${3880 + position}`,
  }));
}

/** The targets in Compose: a service shares the network of `<service>-net` with its sidecar. */
export function composeTargets(services: readonly string[]): ScrapeTarget[] {
  return services.map((service) => ({
    service,
    metrics: `${service}-net:${service === 'gateway' ? 8079 : 8080}`,
    sidecarMetrics: `${service}-net:9090`,
  }));
}

/** The same for Kubernetes, where pods come and go. Labels are the same, and `pod` is added. */
export function kubernetesConfig(services: readonly string[], ruleFiles: readonly string[]) {
  const backEnds = services.filter((service) => service !== 'gateway').join('|');
  // The gateway has a port for operators. The injector of Dapr names the port of the sidecar.
  const jobs = [
    { name: JOBS.services, ports: `gateway;operator|(?:${backEnds});http` },
    { name: JOBS.sidecars, ports: '.+;dapr-metrics' },
  ];
  const label = '__meta_kubernetes_pod_label_app_kubernetes_io_name';
  return {
    ...common(CLUSTER_INTERVAL, ruleFiles),
    scrape_configs: jobs.map(({ name, ports }) => ({
      job_name: name,
      kubernetes_sd_configs: [
        {
          role: 'pod',
          namespaces: { names: ['sidecart'] },
          selectors: [{ role: 'pod', label: 'app.kubernetes.io/part-of=sidecart' }],
        },
      ],
      relabel_configs: [
        {
          source_labels: [label, '__meta_kubernetes_pod_container_port_name'],
          regex: ports,
          action: 'keep',
        },
        { source_labels: [label], target_label: 'service' },
        { source_labels: ['__meta_kubernetes_pod_name'], target_label: 'pod' },
      ],
    })),
  };
}
