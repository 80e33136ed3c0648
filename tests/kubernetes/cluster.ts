import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

export const NAMESPACE = 'sidecart';

export interface Ran {
  status: number;
  stdout: string;
  stderr: string;
}

/** What a call of kubectl may take, where it does not wait for something. */
const CALL_MS = 60_000;

/** Runs a program to its end. It is killed at the deadline; then its status is not 0. */
export async function run(
  program: string,
  args: readonly string[],
  { input = '', deadlineMs = CALL_MS, env = {} }: RunOptions = {},
): Promise<Ran> {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    timeout: deadlineMs,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  child.stdin.on('error', () => {}); // it may end before it has read everything
  child.stdin.end(input);
  const [status, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { status, stdout, stderr };
}

interface RunOptions {
  input?: string;
  deadlineMs?: number;
  env?: Record<string, string>;
}

/** Runs kubectl in the namespace of Sidecart. */
export const tryKubectl = (args: readonly string[], options?: RunOptions): Promise<Ran> =>
  run('kubectl', ['--namespace', NAMESPACE, ...args], options);

/** The same. @throws Error with what kubectl says, where it fails */
export async function kubectl(args: readonly string[], options?: RunOptions): Promise<string> {
  const { status, stdout, stderr } = await tryKubectl(args, options);
  if (status !== 0) throw new Error(`kubectl ${args.slice(0, 4).join(' ')}: ${(stderr || stdout).trim()}`);
  return stdout;
}

/** A resource, as far as it is looked at here. */
export interface Resource {
  metadata: { name: string; uid: string; deletionTimestamp?: string; labels?: Record<string, string> };
  spec: Record<string, unknown>;
  status?: Record<string, unknown> & { conditions?: { type: string; status: string }[] };
}

export async function list(kind: string, selector?: string): Promise<Resource[]> {
  const chosen = selector === undefined ? [] : ['--selector', selector];
  const { items } = JSON.parse(await kubectl(['get', kind, ...chosen, '--output', 'json'])) as {
    items: Resource[];
  };
  return items;
}

export const PARTS = 'app.kubernetes.io/name';
export const OURS = 'app.kubernetes.io/part-of=sidecart';

/** Ready, and not about to go. */
export const isReady = ({ metadata, status }: Resource): boolean =>
  metadata.deletionTimestamp === undefined &&
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;

/** The name of one pod that is ready. @throws Error where there is none */
export async function podOf(app: string): Promise<string> {
  const pods = await list('pods', `${PARTS}=${app}`);
  const pod = pods.find(isReady);
  if (!pod) throw new Error(`${app} has no pod that is ready`);
  return pod.metadata.name;
}

/**
 * Forwards ports of a pod to free ports of this machine. `kubectl port-forward` ends by itself where a connection takes too long to
 * make; then it is started again, at the same ports.
 *
 * @returns the local port of each, how often it was started again, and how to end it
 */
export async function forward(pod: string, ports: readonly number[]) {
  const local = new Map<number, number>();
  let isClosed = false;
  let restarts = 0;
  let { child, ended } = await startForward(pod, ports, local);
  const keptUp = (async () => {
    for (;;) {
      await ended;
      if (isClosed) return;
      restarts += 1;
      const next = await startForward(pod, ports, local).catch(() => undefined);
      if (next) ({ child, ended } = next);
      else await delay(200);
    }
  })();
  return {
    portOf: (port: number) => local.get(port) ?? 0,
    restarts: () => restarts,
    async close() {
      isClosed = true;
      child.kill();
      await keptUp;
    },
  };
}

/** @throws Error with what kubectl says, where it does not forward all of the ports */
async function startForward(pod: string, ports: readonly number[], local: Map<number, number>) {
  const pairs = ports.map((port) => `${local.get(port) ?? ''}:${port}`);
  const args = ['--namespace', NAMESPACE, 'port-forward', `pod/${pod}`, ...pairs];
  const child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const stderr = text(child.stderr);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const open = new Set<number>();
  for await (const line of createInterface(child.stdout)) {
    const [, here, there] = /^Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)$/.exec(line) ?? [];
    if (here === undefined) continue;
    local.set(Number(there), Number(here));
    open.add(Number(there));
    if (open.size === ports.length) break;
  }
  if (open.size < ports.length) {
    child.kill();
    throw new Error(`kubectl port-forward: ${(await stderr).trim()}`);
  }
  child.stdout.resume();
  return { child, ended };
}
