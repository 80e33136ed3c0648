import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { root } from '../../deploy/local/machine/paths.ts';
import { startProcess, waitFor as waitForProcess } from '../../deploy/local/machine/processes.ts';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import { APP_API_TOKEN, DAPR_API_TOKEN, startFakeSidecar } from '../support/fake-sidecar.ts';
import { waitFor } from '../support/wait.ts';

/** The maximum resident memory in megabytes: services/decisions/0112-memory-at-rest.md. */
const BOUNDS = [
  { service: 'orders', boundMb: 100, tracesTo: 'ZIPKIN_ENDPOINT' },
  { service: 'orders', boundMb: 100, tracesTo: 'OTEL_EXPORTER_OTLP_ENDPOINT' },
  { service: 'users', boundMb: 100, tracesTo: 'ZIPKIN_ENDPOINT' },
  { service: 'gateway', boundMb: 125, tracesTo: 'ZIPKIN_ENDPOINT' },
];

/** The number of probes by a sidecar and a kubelet in the first minute. */
const CALLS = 60;

it.each(BOUNDS)(
  'When $service is idle, with $tracesTo, then it uses at most $boundMb MB',
  // In one start of eight, the C library retains freed memory of a V8 compiler: see the decision record.
  { timeout: 120_000, retry: 2 },
  async ({ service, boundMb, tracesTo }) => {
    const logDir = mkdtempSync(join(tmpdir(), 'sidecart-memory-'));
    onTestFinished(() => rmSync(logDir, { recursive: true, force: true }));
    const sidecar = await startFakeSidecar();
    onTestFinished(() => sidecar.close());
    const [appPort, operatorPort, grpcPort] = await freePorts(3);
    const running = startProcess(service, 'node', [`dist/services/${service}/main.js`], {
      logDir,
      cwd: root,
      env: {
        ...readTemplate().common.env,
        [tracesTo]: `http://127.0.0.1:${sidecar.port}${tracesTo === 'ZIPKIN_ENDPOINT' ? '/spans' : ''}`,
        DAPR_API_TOKEN,
        APP_API_TOKEN,
        DAPR_HTTP_PORT: String(sidecar.port),
        DAPR_METRICS_PORT: String(sidecar.port),
        APP_PORT: String(appPort),
        OPERATOR_PORT: String(operatorPort),
        GRPC_PORT: String(grpcPort),
      },
    });
    onTestFinished(() => running.stop());
    const readyz = `http://127.0.0.1:${service === 'gateway' ? operatorPort : appPort}/readyz`;
    const isReady = async () => (await fetch(readyz).catch(() => undefined))?.status === 200;
    await waitForProcess(service, isReady, { process: running, timeoutMs: 40_000 });
    for (let call = 0; call < CALLS; call++) expect(await isReady()).toBe(true);

    // V8 and the C library release the memory of the calls step by step.
    const resident = () => Promise.resolve(residentMb(running.pid));
    await waitFor(`${service} has ${boundMb} MB at most`, resident, {
      until: (mb) => mb <= boundMb,
      timeoutMs: 30_000,
    });
  },
);

/** VmRSS of https://man7.org/linux/man-pages/man5/proc_pid_status.5.html, in KiB. */
function residentMb(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kib === undefined) throw new Error(`no memory of ${pid}: is it running?`);
  return (Number(kib) * 1024) / 1_000_000;
}

/** Finds all ports at once, so that no two are the same. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  return Promise.all(
    servers.map(async (server) => {
      await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
      return (server.address() as AddressInfo).port;
    }),
  ).finally(() => servers.forEach((server) => server.close()));
}
