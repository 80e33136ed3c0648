import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { collectorEndpoint } from '../configuration/collector.ts';
import { cacheDir, ensureFolder } from '../machine/paths.ts';
import { readOutput, runProgram, startProcess, waitFor, type RunningProcess } from '../machine/processes.ts';
import { assertPortFree } from '../machine/tcp-ports.ts';
import { ZIPKIN_VERSION } from '../programs/versions.ts';

const OLDEST_JAVA = 17;

/** Finds Zipkin's jar in the cache, or downloads it with Maven. @returns the jar, or the reason why it is missing */
export async function findOrDownloadZipkin(
  onProgress: (step: string) => void,
): Promise<{ jar: string } | { missing: string }> {
  const collector = collectorEndpoint();
  if (collector) return { missing: `not started, because traces go to ${collector}` };
  const jar = join(ensureFolder(cacheDir, `zipkin-${ZIPKIN_VERSION}`), 'zipkin.jar');
  const java = /version "(\d+)/.exec(readOutput('java', '-version') ?? '')?.[1];
  if (java === undefined) return { missing: 'not started, because Java is not installed' };
  if (Number(java) < OLDEST_JAVA)
    return { missing: `not started, because Zipkin needs Java ${OLDEST_JAVA} or newer (found ${java})` };
  if (existsSync(jar)) return { jar };
  if (readOutput('mvn', '--version') === undefined)
    return { missing: 'not started, because Maven is not installed and cannot download Zipkin' };
  const logFile = join(ensureFolder(cacheDir, 'logs'), 'zipkin-download.log');
  onProgress(`downloading Zipkin with Maven, log: ${logFile}`);
  const artifact = `io.zipkin:zipkin-server:${ZIPKIN_VERSION}:jar:exec`;
  const repository = join(cacheDir, 'maven');
  const options = [`-Dartifact=${artifact}`, '-Dtransitive=false', `-Dmaven.repo.local=${repository}`];
  try {
    await runProgram('mvn', ['-B', 'dependency:get', ...options], { logFile });
  } catch {
    return { missing: `not started, because the download of Zipkin failed; see ${logFile}` };
  }
  const downloaded = join(
    repository,
    'io/zipkin/zipkin-server',
    ZIPKIN_VERSION,
    `zipkin-server-${ZIPKIN_VERSION}-exec.jar`,
  );
  const part = `${jar}.${process.pid}`;
  copyFileSync(downloaded, part);
  renameSync(part, jar);
  rmSync(repository, { recursive: true });
  return { jar };
}

/** Whether a Zipkin responds at this port. */
export async function isZipkin(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v2/services`, {
    signal: AbortSignal.timeout(2_000),
  }).catch(() => undefined);
  return response?.ok === true && (response.headers.get('content-type') ?? '').includes('json');
}

/** Java then starts with half the processor time and runs slower later: services/decisions/0113-a-quick-start.md. */
const FAST_START_FLAGS = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];

/** Starts Zipkin on this port, with its traces in memory. */
export async function startZipkin(options: {
  jar: string;
  port: number;
  logDir: string;
  listenAddress: string;
}): Promise<RunningProcess> {
  const { jar, port, logDir, listenAddress } = options;
  await assertPortFree(port, 'Zipkin');
  // All properties of the port together, because Zipkin drops the others.
  const listening = Object.entries({ ip: listenAddress, port, 'protocols[0]': 'http' }).map(
    ([name, value]) => `--armeria.ports[0].${name}=${value}`,
  );
  const running = startProcess('zipkin', 'java', [...FAST_START_FLAGS, '-jar', jar, ...listening], {
    logDir,
    env: { MEM_MAX_SPANS: '50000' },
  });
  await waitFor('Zipkin', () => isZipkin(port), { process: running, timeoutMs: 120_000 });
  return running;
}
