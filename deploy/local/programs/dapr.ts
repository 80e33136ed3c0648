import { appendFileSync, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { buildDapr } from './dapr-build.ts';
import { keyOf, usedComponents } from './dapr-components.ts';
import { downloadDapr, RELEASES, type DaprProgram } from './dapr-release.ts';
import { cacheDir, folder, home } from '../machine/paths.ts';
import { DAPR_CLI, DAPR_RUNTIME } from './versions.ts';
import { output } from '../machine/processes.ts';

/** The programs of Dapr that a local system needs. */
export interface Dapr {
  cli: string;
  daprd: string;
  scheduler: string;
  /** For `dapr run`, which looks for daprd in `$DAPR_RUNTIME_PATH/.dapr/bin`; empty where daprd is in its usual place. */
  env: Readonly<Record<string, string>>;
  version: string;
}

const OLDEST = [1, 16];

/** The Dapr that `dapr init` or `dapr init --slim` installed; undefined where there is none, or an older one. */
function installedDapr(): Dapr | undefined {
  const above = process.env['DAPR_RUNTIME_PATH'] || home;
  if (!above) return undefined;
  const bin = join(above, '.dapr', 'bin');
  const cli = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((directory) => join(directory, 'dapr'))
    .find((path) => existsSync(path));
  const daprd = join(bin, 'daprd');
  if (!cli || !existsSync(daprd)) return undefined;
  const version = versionOf(daprd);
  if (isOlder(version) || isOlder(versionOf(cli))) return undefined;
  return { cli, daprd, scheduler: join(bin, 'scheduler'), env: {}, version };
}

/** The first version that it prints; '' where there is none. */
function versionOf(program: string): string {
  return /\d+\.\d+\.\d+/.exec(output(program, '--version') ?? '')?.[0] ?? '';
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST;
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}

/** Not `all`: what is built has the components that are used. The commands check it (settings.ts). */
const types = process.env['DAPR_COMPONENTS'] === 'all' ? undefined : usedComponents();

/** Everything with all components, as it is published. */
const WHOLE = join(cacheDir, `dapr-${DAPR_RUNTIME}-cli-${DAPR_CLI}`);
/** A daprd with the components that are used. With others it is another one. */
const SMALL = types && join(cacheDir, `daprd-${DAPR_RUNTIME}-${keyOf(types)}`);

const programIn = (place: string, name: DaprProgram) => join(place, '.dapr', 'bin', name);

/** Where a program is or will be: a whole daprd is as good as a small one. */
function placeOf(name: DaprProgram): string {
  return name === 'daprd' && SMALL && !existsSync(programIn(WHOLE, name)) ? SMALL : WHOLE;
}

/**
 * The Dapr to use: the installed one, else the published one, which is downloaded, else one that is built with Go. It is kept in
 * the cache.
 *
 * @param tell is told what is being done, with the log file of it
 * @param needsScheduler whether a scheduler will have to be started
 */
export async function findOrBuildDapr(tell: (what: string) => void, needsScheduler: boolean): Promise<Dapr> {
  const installed = installedDapr();
  if (installed && (!needsScheduler || existsSync(installed.scheduler))) return installed;
  // `dapr init` has its scheduler in a container, where a system of its own cannot use it: that part is kept here then.
  const wanted: DaprProgram[] = installed ? ['scheduler'] : ['daprd', 'scheduler', 'dapr'];
  const missing = wanted.filter((name) => !existsSync(programIn(placeOf(name), name)));
  if (missing.length > 0) await downloadOrBuild(missing, tell);
  const program = (name: DaprProgram) => programIn(placeOf(name), name);
  if (installed) return { ...installed, scheduler: program('scheduler') };
  return {
    cli: program('dapr'),
    daprd: program('daprd'),
    scheduler: program('scheduler'),
    env: { DAPR_RUNTIME_PATH: placeOf('daprd') },
    version: DAPR_RUNTIME,
  };
}

async function downloadOrBuild(missing: DaprProgram[], tell: (what: string) => void): Promise<void> {
  const logFile = join(folder(cacheDir, 'logs'), 'dapr-build.log');
  folder(WHOLE, '.dapr', 'bin');
  tell(`downloading ${missing.join(', ')} (once), from ${RELEASES}`);
  const tried = await Promise.all(
    missing.map(async (name) => ({
      name,
      problem: await downloadDapr({ name, program: programIn(WHOLE, name), logFile }),
    })),
  );
  const problems = tried.flatMap(({ problem }) => problem ?? []);
  if (problems.length === 0) return;
  appendFileSync(logFile, problems.map((problem) => `not downloaded: ${problem}\n`).join(''));
  const rest = tried.filter(({ problem }) => problem).map(({ name }) => name);
  if (output('go', 'version') === undefined)
    throw new Error(
      `Dapr (${rest.join(', ')}) is not installed, and the release could not be downloaded:\n` +
        `  ${problems.join('\n  ')}\n` +
        'Install the Dapr CLI and run `dapr init --slim` (https://docs.dapr.io/getting-started/). Or set a proxy ' +
        '(HTTPS_PROXY) or a mirror (DAPR_RELEASES). Or install Go, so that Sidecart can build Dapr.',
    );
  tell(
    `building ${rest.join(', ')} with Go (once; up to ten minutes), because the download failed: ` +
      `${problems[0] ?? ''}; log: ${logFile}`,
  );
  if (SMALL) folder(SMALL, '.dapr', 'bin');
  await buildDapr({
    programs: new Map(rest.map((name) => [name, programIn(placeOf(name), name)])),
    types,
    logFile,
  });
}
