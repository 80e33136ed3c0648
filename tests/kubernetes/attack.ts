import { setTimeout as delay } from 'node:timers/promises';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import type { Attack, CompletedFault, AttackContext } from '../faults/attacks/attack.ts';
import type { CheckResult } from '../faults/checks/checks.ts';
import { failureOf, requestsSent, type FailedTry } from '../faults/journal.ts';
import { isReady, kubectl, list, SIDECART_LABEL, NAME_LABEL, tryKubectl, waitForCluster } from './cluster.ts';

/** The attack on the cluster while customers use the shop. */

/** The time for a pod to start, and for sidecars to restart after losing a database or the broker. */
const READY_MS = 180_000;
/** The time to update all services on a busy machine. */
const ROLLOUT_MS = 300_000;
/** A response that is slower shows that the machine is busy. It is also the pause between two requests that find out. */
const FAST_MS = 200;
/** Metrics are some 15 s old, an autoscaler runs every 15 s, and a pod has to start. */
const AUTOSCALE_MS = 240_000;
/** The pause between two faults. */
const PAUSE_MS = 3_000;
/** Keeps the gateway busy for half a minute, from a pod, because a port-forward would be the bottleneck. */
const LOAD_SCRIPT = `
  const end = Date.now() + 30_000;
  const visit = async () => {
    while (Date.now() < end) await fetch('http://gateway:8080/openapi.json').then((response) => response.text(), () => {});
  };
  Promise.all(Array.from({ length: 24 }, visit));
`;

export function createClusterAttack(): Attack {
  return async (context) => {
    const completed: CompletedFault[] = [];
    const checks: CheckResult[] = [];
    const runFault = async (type: string, target: string, execute: () => Promise<void>) => {
      context.signal.throwIfAborted();
      const startedAt = Date.now();
      const scheduled = { type, target, affects: [target], atMs: 0, durationMs: 0 };
      await context.runFault(scheduled, execute);
      const endedAt = Date.now();
      completed.push({ ...scheduled, startedAt, endedAt });
      context.print(`         ready again after ${((endedAt - startedAt) / 1000).toFixed(1)} s`);
      await delay(PAUSE_MS, undefined, { signal: context.signal });
    };
    await delay(PAUSE_MS, undefined, { signal: context.signal });
    for (const { appID } of readTemplate().apps)
      await runFault('pod killed', appID, () => killPod(appID, WITHOUT_GRACE));
    for (const store of ['postgres', 'redis'])
      await runFault('store killed', store, () => killPod(store, AFTER_ONE_SECOND));
    await waitUntilReady();
    await waitUntilDelivered(context);
    await runFault(
      'update of all services',
      'all',
      async () => void checks.push(await updateServices(context)),
    );
    await runFault('three replicas', 'orders', async () => void checks.push(await scaleOrders(context)));
    await runFault('eviction', 'orders', async () => void checks.push(await evictOrders(context)));
    await runFault('overload', 'gateway', async () => void checks.push(await autoscale(context)));
    return { faults: completed, evaluate: () => ({ checks, figures: {} }) };
  };
}

const WITHOUT_GRACE = ['--grace-period=0', '--force'];
/**
 * Forced deletion would let the next pod of a StatefulSet start beside the old one, on the same volume (Kubernetes documentation,
 * "Force Delete StatefulSet Pods"). Two servers on one volume lose data. After one second, the node kills the pod.
 */
const AFTER_ONE_SECOND = ['--grace-period=1'];

/** Kills a pod of an app, and waits for the next one. */
async function killPod(app: string, how: readonly string[]): Promise<void> {
  const pod = (await list('pods', `${NAME_LABEL}=${app}`)).find(isReady);
  if (!pod) throw new Error(`${app} has no ready pod`);
  await kubectl(['delete', 'pod', pod.metadata.name, ...how, '--wait=false']);
  await waitForCluster(`${app} has another pod`, () => list('pods', `${NAME_LABEL}=${app}`), {
    until: (pods) =>
      pods.some((scheduled) => isReady(scheduled) && scheduled.metadata.uid !== pod.metadata.uid),
    timeoutMs: READY_MS,
  });
}

/** Waits until every Deployment has all its replicas. */
export async function waitUntilReady(timeoutMs = READY_MS): Promise<void> {
  await kubectl(
    ['rollout', 'status', 'deployment', `--selector=${SIDECART_LABEL}`, `--timeout=${timeoutMs}ms`],
    {
      timeoutMs: timeoutMs + 10_000,
    },
  );
}

/**
 * Waits until a new order is delivered. So sidecars have reconnected to the killed stores, which takes some ten seconds. Until then,
 * no cancellation succeeds, because that needs the broker (services/decisions/0073-kubernetes.md).
 */
async function waitUntilDelivered({ users, journal }: AttackContext): Promise<void> {
  const startedAt = Date.now();
  await waitForCluster(
    'a new order is delivered',
    async () => {
      const orders = [...journal.accepted.values()].filter(({ at }) => at > startedAt).slice(0, 30);
      const responses = await Promise.all(
        orders.map(({ response }) =>
          users.admin('GET /api/orders/:id', { params: { id: response.order_id } }).catch(() => undefined),
        ),
      );
      return responses.map((response) => response?.ok && response.body.status);
    },
    { until: (statuses) => statuses.includes('DELIVERED'), timeoutMs: READY_MS },
  );
}

/**
 * Updates all services, each when a new pod of the last one is ready and responses are fast again. Starting all pods at once would
 * overload a small machine. Old pods stop a minute later, one after another.
 */
async function updateServices({ users, journal, print }: AttackContext): Promise<CheckResult> {
  const failedBefore = journal.failures.length;
  const sentBefore = requestsSent(journal);
  let explained = 0;
  const violations = () => journal.failures.slice(failedBefore);
  /** Prints the log lines of failed requests. The logs of a pod are lost when it has stopped. */
  const explain = async () => {
    for (const failure of violations().slice(explained, MAX_EXPLAINED)) {
      explained += 1;
      const lines = failure.response ? await findLogLines(failure.response.requestId) : [];
      for (const line of [describe(failure), ...lines]) print(`         ${line}`);
    }
  };
  for (const { appID } of readTemplate().apps) {
    await kubectl(['rollout', 'restart', `deployment/${appID}`]);
    print(`         ${time(new Date())} ${appID}`);
    await waitForNewPod(appID);
    await waitUntilFast(users.admin);
    await explain();
  }
  await waitUntilReady(ROLLOUT_MS);
  await waitForCluster(
    'all old pods have stopped',
    async () => {
      await explain();
      return list('pods', SIDECART_LABEL);
    },
    {
      until: (pods) => pods.every(({ metadata }) => metadata.deletionTimestamp === undefined),
      timeoutMs: ROLLOUT_MS,
    },
  );
  const sent = requestsSent(journal) - sentBefore;
  print(`         ${sent} requests during the update, ${violations().length} failed twice`);
  return {
    name: 'update',
    promise: 'During an update of all services, no request fails for a caller that retries once.',
    verified: sent,
    violations: violations().map(describe),
  };
}

/** The maximum of failures whose log lines are searched. */
const MAX_EXPLAINED = 5;

const time = (date: Date) => date.toISOString().slice(11, 19);

function describe(failure: FailedTry): string {
  const { at, response } = failure;
  return `${time(at)} ${failureOf(failure)}${response ? `, request ${response.requestId}` : ''}`;
}

/** The lines of all services with this text, of the last minute. */
async function findLogLines(text: string): Promise<string[]> {
  const selection = ['--selector', SIDECART_LABEL, '--container', 'app', '--max-log-requests', '50'];
  const { stdout } = await tryKubectl(['logs', ...selection, '--since', '60s', '--tail', '-1', '--prefix']);
  return stdout.split('\n').filter((line) => line.includes(text));
}

interface DeploymentStatus {
  metadata: { generation: number };
  status: { observedGeneration: number; replicas: number; readyReplicas?: number; updatedReplicas?: number };
}

async function waitForNewPod(app: string): Promise<void> {
  await waitForCluster(
    `a new pod of ${app} is ready`,
    async () => JSON.parse(await kubectl(['get', 'deployment', app, '--output', 'json'])) as DeploymentStatus,
    {
      until: ({ metadata, status }) =>
        status.observedGeneration >= metadata.generation &&
        (status.updatedReplicas ?? 0) > 0 &&
        status.readyReplicas === status.replicas,
      timeoutMs: READY_MS,
    },
  );
}

/** Waits until ten responses in a row are fast, or half a minute. A pod that starts takes a core for some seconds. */
async function waitUntilFast(admin: AttackContext['users']['admin']): Promise<void> {
  const deadline = performance.now() + 30_000;
  let fast = 0;
  while (fast < 10 && performance.now() < deadline) {
    const startedAt = performance.now();
    const response = await admin('GET /api/inventory', { query: { limit: 1 } }).catch(() => undefined);
    fast = response?.ok && performance.now() - startedAt < FAST_MS ? fast + 1 : 0;
    await delay(FAST_MS);
  }
}

async function scaleOrders({ print }: AttackContext): Promise<CheckResult> {
  const patch = JSON.stringify({ spec: { minReplicas: 3 } });
  await kubectl(['patch', 'horizontalpodautoscaler', 'orders', '--patch', patch]);
  const ready = await waitForCluster('orders has three replicas', readyOrders, {
    until: (count) => count >= 3,
    timeoutMs: READY_MS,
  });
  print(`         orders has ${ready} ready replicas`);
  return { name: 'three replicas', promise: 'orders has three replicas.', verified: ready, violations: [] };
}

const readyOrders = async () => (await list('pods', `${NAME_LABEL}=orders`)).filter(isReady).length;

/** Evicts all pods of `orders`, as a drain does. The disruption budget allows one at a time. */
async function evictOrders({ print }: AttackContext): Promise<CheckResult> {
  const initialPods = (await list('pods', `${NAME_LABEL}=orders`)).filter(isReady);
  const responses = await Promise.all(initialPods.map(({ metadata }) => evict(metadata.name)));
  const rejected = responses.filter((answer) => answer.includes('disruption budget')).length;
  print(`         of ${initialPods.length} evictions at once, the disruption budget rejected ${rejected}`);
  const violations =
    rejected === initialPods.length - 1
      ? []
      : [`of ${initialPods.length} evictions at once, ${rejected} were rejected`];
  let fewestReady = Infinity;
  for (const { metadata } of initialPods)
    await waitForCluster(
      `${metadata.name} is evicted`,
      async () => {
        fewestReady = Math.min(fewestReady, await readyOrders());
        return evict(metadata.name);
      },
      { until: (answer) => /"Success"|not found/.test(answer), timeoutMs: READY_MS },
    );
  await waitForCluster('orders has three replicas again', readyOrders, {
    until: (count) => count >= 3,
    timeoutMs: READY_MS,
  });
  print(`         all were evicted one by one. At least ${fewestReady} were always ready`);
  return {
    name: 'eviction',
    promise: 'A drain evicts one pod of a service at a time.',
    verified: initialPods.length,
    violations: fewestReady >= 2 ? violations : [...violations, `only ${fewestReady} pods were ready`],
  };
}

async function evict(name: string): Promise<string> {
  const eviction = { apiVersion: 'policy/v1', type: 'Eviction', metadata: { name, namespace: 'sidecart' } };
  const path = `/api/v1/namespaces/sidecart/pods/${name}/eviction`;
  const { stdout, stderr } = await tryKubectl(['create', '--raw', path, '--filename', '-'], {
    input: JSON.stringify(eviction),
  });
  return stdout + stderr;
}

/** Loads the gateway until its autoscaler starts another replica. */
async function autoscale({ print, signal }: AttackContext): Promise<CheckResult> {
  const promise = 'The autoscaler starts another replica of a busy gateway.';
  const { stdout } = await tryKubectl(['get', 'apiservice', 'v1beta1.metrics.k8s.io', '--output', 'json']);
  if (!stdout.includes('"type": "Available"')) {
    print('         not tested: the cluster has no metrics, and so no autoscaling');
    return { name: 'autoscaler', promise, verified: 0, violations: [] };
  }
  const deadline = performance.now() + AUTOSCALE_MS;
  let replicas = 1;
  while (replicas < 2 && performance.now() < deadline) {
    signal.throwIfAborted();
    await kubectl(['exec', 'relay', '--', 'node', '--eval', LOAD_SCRIPT]);
    replicas = (await list('pods', `${NAME_LABEL}=gateway`)).filter(isReady).length;
  }
  const autoscaler = await kubectl(['get', 'horizontalpodautoscaler', 'gateway', '--no-headers']);
  print(`         the gateway has ${replicas} ready replicas; autoscaler: ${autoscaler.trim()}`);
  const violations = replicas < 2 ? [`after ${AUTOSCALE_MS / 1000} s: ${autoscaler.trim()}`] : [];
  return { name: 'autoscaler', promise, verified: replicas, violations };
}
