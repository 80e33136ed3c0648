import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '../support/wait.ts';

export const NAMESPACE = 'sidecart';

export interface ProgramResult {
  status: number;
  stdout: string;
  stderr: string;
}

/** The timeout of a kubectl command that does not wait for a condition. */
const DEFAULT_TIMEOUT_MS = 60_000;

/** Runs a program to its end. After the timeout it is killed, and its status is not 0. */
export async function run(
  program: string,
  args: readonly string[],
  { input = '', timeoutMs = DEFAULT_TIMEOUT_MS, env = {} }: RunOptions = {},
): Promise<ProgramResult> {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  const exited = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  child.stdin.on('error', () => {}); // the program may exit before it has read everything
  child.stdin.end(input);
  const [status, stdout, stderr] = await Promise.all([exited, text(child.stdout), text(child.stderr)]);
  return { status, stdout, stderr };
}

interface RunOptions {
  input?: string;
  timeoutMs?: number;
  env?: Record<string, string>;
}

/** Runs kubectl in the namespace of Sidecart. */
export const tryKubectl = (args: readonly string[], options?: RunOptions): Promise<ProgramResult> =>
  run('kubectl', ['--namespace', NAMESPACE, ...args], options);

/** Runs kubectl and returns its output. @throws Error with the message of kubectl if it fails */
export async function kubectl(args: readonly string[], options?: RunOptions): Promise<string> {
  const { status, stdout, stderr } = await tryKubectl(args, options);
  if (status !== 0) throw new Error(`kubectl ${args.slice(0, 4).join(' ')}: ${(stderr || stdout).trim()}`);
  return stdout;
}

/** The fields of a resource that the tests read. */
export interface Resource {
  metadata: { name: string; uid: string; deletionTimestamp?: string; labels?: Record<string, string> };
  spec: Record<string, unknown>;
  status?: Record<string, unknown> & { conditions?: { type: string; status: string }[] };
}

/** Waits for a state of the cluster. Each poll starts kubectl, and many of them would take a core from the services. */
export const waitForCluster: typeof waitFor = (description, poll, options) =>
  waitFor(description, poll, { pauseMs: 1_000, ...options });

export async function list(kind: string, selector?: string): Promise<Resource[]> {
  const selectorArgs = selector === undefined ? [] : ['--selector', selector];
  const { items } = JSON.parse(await kubectl(['get', kind, ...selectorArgs, '--output', 'json'])) as {
    items: Resource[];
  };
  return items;
}

export const NAME_LABEL = 'app.kubernetes.io/name';
export const SIDECART_LABEL = 'app.kubernetes.io/part-of=sidecart';

/** Whether a pod is ready and not being deleted. */
export const isReady = ({ metadata, status }: Resource): boolean =>
  metadata.deletionTimestamp === undefined &&
  status?.conditions?.some(
    ({ type, status: conditionStatus }) => type === 'Ready' && conditionStatus === 'True',
  ) === true;

/** The name of a ready pod. @throws Error if there is none */
export async function findReadyPod(app: string): Promise<string> {
  const pods = await list('pods', `${NAME_LABEL}=${app}`);
  const pod = pods.find(isReady);
  if (!pod) throw new Error(`${app} has no ready pod`);
  return pod.metadata.name;
}

/**
 * Forwards ports of a pod to free ports of this machine. `kubectl port-forward` exits if connecting takes too long. It is then
 * restarted with the same ports.
 *
 * @returns the local ports, the number of restarts, and a function to stop it
 */
export async function forwardPorts(pod: string, ports: readonly number[]) {
  const local = new Map<number, number>();
  let isClosed = false;
  let restarts = 0;
  let { child, exited } = await startForward(pod, ports, local);
  const restarting = (async () => {
    for (;;) {
      await exited;
      if (isClosed) return;
      restarts += 1;
      const next = await startForward(pod, ports, local).catch(() => undefined);
      if (next) ({ child, exited } = next);
      else await delay(200);
    }
  })();
  return {
    portOf: (port: number) => local.get(port) ?? 0,
    restarts: () => restarts,
    async close() {
      isClosed = true;
      child.kill();
      await restarting;
    },
  };
}

/** @throws Error with the message of kubectl if it does not forward all ports */
async function startForward(pod: string, ports: readonly number[], local: Map<number, number>) {
  const pairs = ports.map((port) => `${local.get(port) ?? ''}:${port}`);
  const args = ['--namespace', NAMESPACE, 'port-forward', `pod/${pod}`, ...pairs];
  const child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const stderr = text(child.stderr);
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const open = new Set<number>();
  for await (const line of createInterface(child.stdout)) {
    const [, localPort, podPort] = /^Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)$/.exec(line) ?? [];
    if (localPort === undefined) continue;
    local.set(Number(podPort), Number(localPort));
    open.add(Number(podPort));
    if (open.size === ports.length) break;
  }
  if (open.size < ports.length) {
    child.kill();
    throw new Error(`kubectl port-forward: ${(await stderr).trim()}`);
  }
  child.stdout.resume();
  return { child, exited };
}
