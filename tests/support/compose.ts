import { spawn, spawnSync } from 'node:child_process';

/** What runs Compose files here: a command for a shell, and the engine under it. */
export interface Engine {
  command: string;
  name: 'docker' | 'podman';
}

/** The oldest that was tried. 1.0 does not know `network_mode: service:`. */
const OLDEST_PODMAN_COMPOSE = [1, 6];

/** What there is to run Compose files with: `COMPOSE`, or what the machine has. Undefined, after a line that says why, without. */
export function findEngine(): Engine | undefined {
  const { COMPOSE: given } = process.env;
  if (given) return { command: given, name: given.includes('podman') ? 'podman' : 'docker' };
  if (answer('docker', 'info') !== undefined && answer('docker', 'compose', 'version') !== undefined)
    return { command: 'docker compose', name: 'docker' };
  const version = /podman-composer? +version:? +(\d+)\.(\d+)/.exec(
    answer('podman-compose', '--version') ?? '',
  );
  const [major = 0, minor = 0] = version?.slice(1).map(Number) ?? [];
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_PODMAN_COMPOSE;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor))
    return { command: 'podman-compose', name: 'podman' };
  const found = version
    ? `podman-compose ${major}.${minor}`
    : 'neither a Docker that answers nor podman-compose';
  console.log(
    `Skipped: deploy/compose. It needs docker compose, or podman-compose ${OLDEST_PODMAN_COMPOSE.join('.')} or newer; there is ${found}.`,
  );
  return undefined;
}

function answer(program: string, ...args: string[]): string | undefined {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000 });
  return status === 0 ? `${stdout}${stderr}` : undefined;
}

/** deploy/compose/compose.yaml as a project of its own. */
export interface Project {
  /** Runs a command of Compose, such as `up -d`. @throws Error with what it printed where it fails or takes longer */
  compose: (deadlineMs: number, ...args: string[]) => Promise<string>;
  /** What the engine has of it: containers, volumes, networks. */
  left: () => string[];
}

/** @param env the variables of compose.yaml */
export function projectOf(engine: Engine, name: string, env: Record<string, string>): Project {
  const file = ['-f', 'deploy/compose/compose.yaml', '-p', name];
  const ids = (...args: string[]) =>
    (answer(engine.name, ...args, '-q', '--filter', `label=com.docker.compose.project=${name}`) ?? '')
      .split('\n')
      .filter(Boolean)
      .map((id) => `${args[0]} ${id}`);
  return {
    compose: (deadlineMs, ...args) =>
      run('sh', ['-c', `exec ${engine.command} "$@"`, 'compose', ...file, ...args], env, deadlineMs),
    left: () => [...ids('ps', '-a'), ...ids('volume', 'ls'), ...ids('network', 'ls')],
  };
}

function run(
  program: string,
  args: string[],
  env: Record<string, string>,
  deadlineMs: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: deadlineMs,
    });
    let printed = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (printed += text));
    child.once('error', reject);
    child.once('close', (code, signal) =>
      code === 0
        ? resolve(printed)
        : reject(new Error(`${args.slice(3).join(' ')}: ${signal ?? code}\n${printed.slice(-4_000)}`)),
    );
  });
}
