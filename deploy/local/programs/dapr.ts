import { appendFileSync, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cacheDir, ensureFolder, home } from '../machine/paths.ts';
import { readOutput } from '../machine/processes.ts';
import { buildDapr } from './dapr-build.ts';
import { hashOfComponents, usedComponents } from './dapr-components.ts';
import { downloadDapr, RELEASES_URL, type DaprProgram } from './dapr-release.ts';
import { DAPR_CLI_VERSION, DAPR_RUNTIME_VERSION } from './versions.ts';

/** The programs of Dapr that a local system needs. */
export interface Dapr {
  cli: string;
  daprd: string;
  scheduler: string;
  placement: string;
  /**
   * The environment of sidecars, and of `dapr run`, which starts them. That looks for daprd in `$DAPR_RUNTIME_PATH/.dapr/bin`, unless
   * it is in its default folder.
   */
  env: Readonly<Record<string, string>>;
  version: string;
}

/** The programs of Dapr's control plane that a local system needs. */
export type ControlPlaneProgram = 'scheduler' | 'placement';

/**
 * Above this limit of memory, a sidecar collects garbage more often, and keeps no more. The scheduler holds its jobs in memory, and
 * has no limit (services/decisions/0137-cheaper-calls.md).
 */
const SIDECAR_ENV = { GOMEMLIMIT: '88MiB' };

const OLDEST_VERSION = [1, 16];

/** The Dapr that `dapr init` or `dapr init --slim` installed; undefined if it is missing or too old. */
function findInstalledDapr(): Dapr | undefined {
  const parent = process.env['DAPR_RUNTIME_PATH'] || home;
  if (!parent) return undefined;
  const bin = join(parent, '.dapr', 'bin');
  const cli = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((directory) => join(directory, 'dapr'))
    .find((path) => existsSync(path));
  const daprd = join(bin, 'daprd');
  if (!cli || !existsSync(daprd)) return undefined;
  const version = readVersion(daprd);
  if (isOlder(version) || isOlder(readVersion(cli))) return undefined;
  return {
    cli,
    daprd,
    scheduler: join(bin, 'scheduler'),
    placement: join(bin, 'placement'),
    env: SIDECAR_ENV,
    version,
  };
}

/** The first version that the program prints; '' if it prints none. */
function readVersion(program: string): string {
  return /\d+\.\d+\.\d+/.exec(readOutput(program, '--version') ?? '')?.[0] ?? '';
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_VERSION;
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}

/** The components of a built daprd; undefined for all. The commands check the variable (settings.ts). */
const types = process.env['DAPR_COMPONENTS'] === 'all' ? undefined : usedComponents();

/** Programs as they are published, with all components. */
const COMPLETE_FOLDER = join(cacheDir, `dapr-${DAPR_RUNTIME_VERSION}-cli-${DAPR_CLI_VERSION}`);
/** A daprd with only the used components. The name changes with them. */
const REDUCED_FOLDER = types && join(cacheDir, `daprd-${DAPR_RUNTIME_VERSION}-${hashOfComponents(types)}`);

const programPath = (folder: string, name: DaprProgram) => join(folder, '.dapr', 'bin', name);

/** The folder of a program. A complete daprd serves as well as a reduced one. */
function folderOf(name: DaprProgram): string {
  return name === 'daprd' && REDUCED_FOLDER && !existsSync(programPath(COMPLETE_FOLDER, name))
    ? REDUCED_FOLDER
    : COMPLETE_FOLDER;
}

/**
 * The installed Dapr, else the downloaded release, else one that is built with Go. Downloads and builds stay in the cache.
 *
 * @param onProgress receives each long step, with its log file
 * @param controlPlane the parts of the control plane that the caller starts
 */
export async function findOrBuildDapr(
  onProgress: (step: string) => void,
  controlPlane: readonly ControlPlaneProgram[],
): Promise<Dapr> {
  const installed = findInstalledDapr();
  // `dapr init` runs these in containers, which a separate system cannot use. So the cache has them.
  const notInstalled = controlPlane.filter((name) => !installed || !existsSync(installed[name]));
  if (installed && notInstalled.length === 0) return installed;
  const wanted: DaprProgram[] = installed ? notInstalled : ['daprd', ...notInstalled, 'dapr'];
  const missing = wanted.filter((name) => !existsSync(programPath(folderOf(name), name)));
  if (missing.length > 0) await downloadOrBuild(missing, onProgress);
  const program = (name: DaprProgram) => programPath(folderOf(name), name);
  if (installed)
    return { ...installed, ...Object.fromEntries(notInstalled.map((name) => [name, program(name)])) };
  return {
    cli: program('dapr'),
    daprd: program('daprd'),
    scheduler: program('scheduler'),
    placement: program('placement'),
    env: { ...SIDECAR_ENV, DAPR_RUNTIME_PATH: folderOf('daprd') },
    version: DAPR_RUNTIME_VERSION,
  };
}

async function downloadOrBuild(missing: DaprProgram[], onProgress: (step: string) => void): Promise<void> {
  const logFile = join(ensureFolder(cacheDir, 'logs'), 'dapr-build.log');
  ensureFolder(COMPLETE_FOLDER, '.dapr', 'bin');
  onProgress(`downloading ${missing.join(', ')} (once), from ${RELEASES_URL}`);
  const tried = await Promise.all(
    missing.map(async (name) => ({
      name,
      problem: await downloadDapr({ name, program: programPath(COMPLETE_FOLDER, name), logFile }),
    })),
  );
  const problems = tried.flatMap(({ problem }) => problem ?? []);
  if (problems.length === 0) return;
  appendFileSync(logFile, problems.map((problem) => `not downloaded: ${problem}\n`).join(''));
  const rest = tried.filter(({ problem }) => problem).map(({ name }) => name);
  if (readOutput('go', 'version') === undefined)
    throw new Error(
      `Dapr (${rest.join(', ')}) is not installed, and the release could not be downloaded:\n` +
        `  ${problems.join('\n  ')}\n` +
        'Install the Dapr CLI and run `dapr init --slim` (https://docs.dapr.io/getting-started/). Or set a proxy ' +
        '(HTTPS_PROXY) or a mirror (DAPR_RELEASES). Or install Go, so that Sidecart can build Dapr.',
    );
  onProgress(
    `building ${rest.join(', ')} with Go (once; up to ten minutes), because the download failed: ` +
      `${problems[0] ?? ''}; log: ${logFile}`,
  );
  if (REDUCED_FOLDER) ensureFolder(REDUCED_FOLDER, '.dapr', 'bin');
  await buildDapr({
    programs: new Map(rest.map((name) => [name, programPath(folderOf(name), name)])),
    types,
    logFile,
  });
}
