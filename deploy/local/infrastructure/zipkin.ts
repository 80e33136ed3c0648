import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir, folder } from '../machine/paths.ts';
import { ZIPKIN } from '../programs/versions.ts';
import { demandFree } from '../machine/tcp-ports.ts';
import { output, run, start, waitFor, type Running } from '../machine/processes.ts';

const OLDEST_JAVA = 17;

/** Finds Zipkin's jar in the cache, or fetches it with Maven. Undefined, and why, where the machine lacks Java. */
export async function findOrFetchZipkin(
  tell: (what: string) => void,
): Promise<{ jar: string } | { missing: string }> {
  const jar = join(folder(cacheDir, `zipkin-${ZIPKIN}`), 'zipkin.jar');
  const java = /version "(\d+)/.exec(output('java', '-version') ?? '')?.[1];
  if (java === undefined) return { missing: 'not started, because Java is not installed' };
  if (Number(java) < OLDEST_JAVA)
    return { missing: `not started, because Zipkin needs Java ${OLDEST_JAVA} or newer (found ${java})` };
  if (existsSync(jar)) return { jar };
  if (output('mvn', '--version') === undefined)
    return { missing: 'not started, because Maven is not installed and cannot download Zipkin' };
  const logFile = join(folder(cacheDir, 'logs'), 'zipkin-fetch.log');
  tell(`downloading Zipkin with Maven, log: ${logFile}`);
  const artifact = `io.zipkin:zipkin-server:${ZIPKIN}:jar:exec`;
  const repository = join(cacheDir, 'maven');
  const options = [`-Dartifact=${artifact}`, '-Dtransitive=false', `-Dmaven.repo.local=${repository}`];
  try {
    await run('mvn', ['-B', 'dependency:get', ...options], { logFile });
  } catch {
    return { missing: `not started, because the download of Zipkin failed; see ${logFile}` };
  }
  const fetched = join(repository, 'io/zipkin/zipkin-server', ZIPKIN, `zipkin-server-${ZIPKIN}-exec.jar`);
  const part = `${jar}.${process.pid}`;
  copyFileSync(fetched, part);
  renameSync(part, jar);
  rmSync(repository, { recursive: true });
  return { jar };
}

/** Whether a Zipkin answers there. */
export async function answersAsZipkin(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v2/services`, {
    signal: AbortSignal.timeout(2_000),
  }).catch(() => undefined);
  return response?.ok === true && (response.headers.get('content-type') ?? '').includes('json');
}

/** Half the processor time to start, for less speed later: services/decisions/0113-a-quick-start.md. */
const QUICKLY = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];

/** Starts Zipkin on this port; it keeps its traces in memory. */
export async function startZipkin(options: {
  jar: string;
  port: number;
  logDir: string;
  listenAddress: string;
}): Promise<Running> {
  const { jar, port, logDir, listenAddress } = options;
  await demandFree(port, 'Zipkin');
  // The first port as a whole, or Zipkin would forget the rest of it.
  const listening = Object.entries({ ip: listenAddress, port, 'protocols[0]': 'http' }).map(
    ([name, value]) => `--armeria.ports[0].${name}=${value}`,
  );
  const running = start('zipkin', 'java', [...QUICKLY, '-jar', jar, ...listening], {
    logDir,
    env: { MEM_MAX_SPANS: '50000' },
  });
  await waitFor('Zipkin', () => answersAsZipkin(port), { process: running, deadlineMs: 120_000 });
  return running;
}
