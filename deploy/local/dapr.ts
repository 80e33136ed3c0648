import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { buildWithGo } from './go-build.ts';
import { cacheDir, DAPR_CLI, DAPR_RUNTIME, folder, home } from './paths.ts';
import { output } from './processes.ts';

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

/**
 * The Dapr to use: the installed one, else one that is built with Go, once, into the cache.
 *
 * @param tell is told what is being done, with the log file of it
 * @param needsScheduler whether a scheduler will have to be started
 */
export async function findOrBuildDapr(tell: (what: string) => void, needsScheduler: boolean): Promise<Dapr> {
  const installed = installedDapr();
  if (installed && (!needsScheduler || existsSync(installed.scheduler))) return installed;
  const built = join(cacheDir, `dapr-${DAPR_RUNTIME}-cli-${DAPR_CLI}`);
  const bin = folder(built, '.dapr', 'bin');
  const program = (name: string) => join(bin, name);
  const version = (variable: string, value: string) => ['-ldflags', `-s -w -X ${variable}=${value}`];
  const runtime = [
    '-tags',
    'allcomponents',
    ...version('github.com/dapr/dapr/pkg/buildinfo.version', DAPR_RUNTIME),
  ];
  const logFile = join(folder(cacheDir, 'logs'), 'dapr-build.log');

  const parts = [
    { name: 'daprd', module: 'runtime', flags: runtime, source: 'github.com/dapr/dapr/cmd/daprd' },
    { name: 'scheduler', module: 'runtime', flags: runtime, source: 'github.com/dapr/dapr/cmd/scheduler' },
    { name: 'dapr', module: 'cli', flags: version('main.version', DAPR_CLI), source: 'github.com/dapr/cli' },
  ];
  // `dapr init` has its scheduler in a container, where a system of its own cannot use it: that part is built then.
  const wanted = installed ? parts.filter(({ name }) => name === 'scheduler') : parts;
  const missing = wanted.filter(({ name }) => !existsSync(program(name)));
  if (missing.length > 0 && output('go', 'version') === undefined)
    throw new Error(
      `Neither Dapr's ${missing.map(({ name }) => name).join(', ')} nor Go is on this machine. Install the Dapr CLI and ` +
        'run `dapr init --slim` (https://docs.dapr.io/getting-started/), or install Go, with which Sidecart builds it.',
    );
  for (const { name, module, flags, source } of missing) {
    tell(`building ${name} with Go (once; up to ten minutes in all), log: ${logFile}`);
    await buildWithGo({ program: program(name), module, flags, source, logFile });
  }
  if (installed) return { ...installed, scheduler: program('scheduler') };
  return {
    cli: program('dapr'),
    daprd: program('daprd'),
    scheduler: program('scheduler'),
    env: { DAPR_RUNTIME_PATH: built },
    version: DAPR_RUNTIME,
  };
}
