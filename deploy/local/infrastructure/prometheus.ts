import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { prometheusConfig, type ScrapeTarget } from '../../observability/prometheus.ts';
import { ensureFolder, root } from '../machine/paths.ts';
import { readOutput, startProcess, waitFor, type RunningProcess } from '../machine/processes.ts';
import { assertPortFree } from '../machine/tcp-ports.ts';
import { installFromDebian } from '../programs/debian.ts';

/** Finds `prometheus` on this machine, or installs it from Debian if this user may. */
export async function findOrInstallPrometheus(
  logDir: string,
  onProgress: (step: string) => void,
): Promise<void> {
  if (readOutput('prometheus', '--version') !== undefined) return;
  const hint = 'Debian: sudo apt-get install prometheus; macOS: brew install prometheus';
  await installFromDebian('prometheus', { hint, logDir, onProgress });
}

/** What is kept of the metrics, in `dataDir`. */
const RETENTION_FLAGS = ['--storage.tsdb.retention.time=2d', '--storage.tsdb.retention.size=512MB'];

/** Starts a Prometheus that scrapes these targets, with the rules of deploy/observability. */
export async function startPrometheus(options: {
  port: number;
  targets: readonly ScrapeTarget[];
  dataDir: string;
  logDir: string;
}): Promise<RunningProcess> {
  const { port, targets, dataDir, logDir } = options;
  await assertPortFree(port, 'Prometheus');
  const folder = ensureFolder(dataDir, 'prometheus');
  const file = join(folder, 'prometheus.yml');
  writeFileSync(file, stringify(prometheusConfig(targets, [join(root, 'deploy/observability/rules.yml')])));
  const args = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    ...RETENTION_FLAGS,
    `--web.listen-address=127.0.0.1:${port}`,
    // Otherwise it drops the trace ids.
    '--enable-feature=exemplar-storage',
  ];
  const running = startProcess('prometheus', 'prometheus', args, { logDir });
  await waitFor('Prometheus', () => isPrometheusReady(port), { process: running });
  return running;
}

async function isPrometheusReady(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/-/ready`, {
    signal: AbortSignal.timeout(2_000),
  }).catch(() => undefined);
  return response?.ok === true;
}
