import { spawn, spawnSync } from 'node:child_process';

/** The shell command that runs Compose files, and its container engine. */
export interface ComposeEngine {
  command: string;
  name: 'docker' | 'podman';
}

/** The oldest tested version. Version 1.0 lacks `network_mode: service:`. */
const MIN_PODMAN_COMPOSE = [1, 6];

/** The engine in `COMPOSE`, or an installed one. Returns undefined and prints the reason if there is none. */
export function findEngine(): ComposeEngine | undefined {
  const { COMPOSE: command } = process.env;
  if (command) return { command, name: command.includes('podman') ? 'podman' : 'docker' };
  if (outputOf('docker', 'info') !== undefined && outputOf('docker', 'compose', 'version') !== undefined)
    return { command: 'docker compose', name: 'docker' };
  const version = /podman-composer? +version:? +(\d+)\.(\d+)/.exec(
    outputOf('podman-compose', '--version') ?? '',
  );
  const [major = 0, minor = 0] = version?.slice(1).map(Number) ?? [];
  const [minMajor = 0, minMinor = 0] = MIN_PODMAN_COMPOSE;
  if (major > minMajor || (major === minMajor && minor >= minMinor))
    return { command: 'podman-compose', name: 'podman' };
  const found = version ? `podman-compose ${major}.${minor}` : 'neither a running Docker nor podman-compose';
  console.log(
    `Skipped: deploy/compose. It needs docker compose, or podman-compose ${MIN_PODMAN_COMPOSE.join('.')} or newer. Found: ${found}.`,
  );
  return undefined;
}

function outputOf(program: string, ...args: string[]): string | undefined {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000 });
  return status === 0 ? `${stdout}${stderr}` : undefined;
}

/** A project of deploy/compose/compose.yaml. */
export interface ComposeProject {
  /** Runs a Compose command, such as `up -d`. @throws Error with its output if it fails or exceeds the deadline */
  compose: (deadlineMs: number, ...args: string[]) => Promise<string>;
  /** The containers, volumes and networks of the project that still exist. */
  remainingResources: () => string[];
}

/** @param env the variables of compose.yaml */
export function createComposeProject(
  engine: ComposeEngine,
  name: string,
  env: Record<string, string>,
): ComposeProject {
  const file = ['-f', 'deploy/compose/compose.yaml', '-p', name];
  const ids = (...args: string[]) =>
    (outputOf(engine.name, ...args, '-q', '--filter', `label=com.docker.compose.project=${name}`) ?? '')
      .split('\n')
      .filter(Boolean)
      .map((id) => `${args[0]} ${id}`);
  return {
    compose: (deadlineMs, ...args) =>
      run('sh', ['-c', `exec ${engine.command} "$@"`, 'compose', ...file, ...args], env, deadlineMs),
    remainingResources: () => [...ids('ps', '-a'), ...ids('volume', 'ls'), ...ids('network', 'ls')],
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
