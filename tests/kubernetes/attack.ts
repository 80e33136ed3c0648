import { setTimeout as delay } from 'node:timers/promises';
import { readTemplate } from '../../deploy/local/configuration/template.ts';
import type { Attack, Done, Field } from '../faults/attacks/attack.ts';
import type { Checked } from '../faults/checks/checks.ts';
import { waitFor } from '../support/wait.ts';
import { isReady, kubectl, list, OURS, PARTS, tryKubectl } from './cluster.ts';

/** What is done to the cluster while customers use the shop. */

/** Until what was killed is ready again: a pod starts, and a sidecar that lost its database or broker is started again. */
const READY_MS = 180_000;
/** One service, on a machine that is busy with customers. */
const ROLLOUT_MS = 180_000;
/** Metrics are some 15 s old, an autoscaler looks every 15 s, and a pod has to start. */
const AUTOSCALE_MS = 240_000;
/** Between two faults. */
const CALM_MS = 3_000;
/** Visitors who keep the gateway busy for half a minute, from within the cluster: a port-forward would be busy first. */
const CROWD = `
  const end = Date.now() + 30_000;
  const visit = async () => {
    while (Date.now() < end) await fetch('http://gateway:8080/openapi.json').then((answer) => answer.text(), () => {});
  };
  Promise.all(Array.from({ length: 24 }, visit));
`;

export function clusterAttack(): Attack {
  return async (field) => {
    const done: Done[] = [];
    const checks: Checked[] = [];
    const fault = async (kind: string, target: string, doIt: () => Promise<void>) => {
      field.signal.throwIfAborted();
      const began = Date.now();
      const one = { kind, target, touches: [target], at: 0, lasts: 0 };
      await field.during(one, doIt);
      const ended = Date.now();
      done.push({ ...one, began, ended });
      field.tell(`         ready again after ${((ended - began) / 1000).toFixed(1)} s`);
      await delay(CALM_MS, undefined, { signal: field.signal });
    };
    await delay(CALM_MS, undefined, { signal: field.signal });
    for (const { appID } of readTemplate().apps) await fault('pod killed', appID, () => killPod(appID));
    for (const store of ['postgres', 'redis']) await fault('store restarted', store, () => killPod(store));
    await untilAllReady();
    await fault('update of all services', 'all', async () => void checks.push(await rollOut(field)));
    await fault('three replicas', 'orders', async () => void checks.push(await scaleOrders(field)));
    await fault('eviction', 'orders', async () => void checks.push(await evictOrders(field)));
    await fault('crowd', 'gateway', async () => void checks.push(await autoscale(field)));
    return { faults: done, judge: () => ({ checks, figures: {} }) };
  };
}

/** Kills a pod of an app without warning, and waits for the next one. */
async function killPod(app: string): Promise<void> {
  const pod = (await list('pods', `${PARTS}=${app}`)).find(isReady);
  if (!pod) throw new Error(`${app} has no pod that is ready`);
  await kubectl(['delete', 'pod', pod.metadata.name, '--grace-period=0', '--force', '--wait=false']);
  await waitFor(`${app} has another pod`, () => list('pods', `${PARTS}=${app}`), {
    until: (pods) => pods.some((one) => isReady(one) && one.metadata.uid !== pod.metadata.uid),
    timeoutMs: READY_MS,
  });
}

/** Waits until every Deployment has all of its replicas. */
export async function untilAllReady(deadlineMs = READY_MS): Promise<void> {
  await kubectl(['rollout', 'status', 'deployment', `--selector=${OURS}`, `--timeout=${deadlineMs}ms`], {
    deadlineMs: deadlineMs + 10_000,
  });
}

/** Updates one service after the other: all pods that start at once would take the processors of a small machine. Each takes 30 s. */
async function rollOut({ journal, tell }: Field): Promise<Checked> {
  const before = new Map(journal.failures);
  const sentBefore = sentIn(journal);
  for (const { appID } of readTemplate().apps) {
    await kubectl(['rollout', 'restart', `deployment/${appID}`]);
    await untilAllReady(ROLLOUT_MS);
  }
  const failed = [...journal.failures]
    .map(([what, times]): [string, number] => [what, times - (before.get(what) ?? 0)])
    .filter(([, times]) => times > 0);
  const sent = sentIn(journal) - sentBefore;
  tell(`         ${sent} requests meanwhile; failed: ${failed.map(([what]) => what).join(', ') || 'none'}`);
  return {
    name: 'update',
    promise: 'While all services are updated, no request fails for those who ask once more.',
    verified: sent,
    violations: failed.map(([what, times]) => `${what}, ${times} times`),
  };
}

const sentIn = ({ tries }: Field['journal']): number =>
  [...tries.values()].reduce((sum, { sent }) => sum + sent, 0);

async function scaleOrders({ tell }: Field): Promise<Checked> {
  const patch = JSON.stringify({ spec: { minReplicas: 3 } });
  await kubectl(['patch', 'horizontalpodautoscaler', 'orders', '--patch', patch]);
  const ready = await waitFor('orders has three replicas', readyOrders, {
    until: (count) => count >= 3,
    timeoutMs: READY_MS,
  });
  tell(`         orders has ${ready} replicas that are ready`);
  return { name: 'three replicas', promise: 'orders has three replicas.', verified: ready, violations: [] };
}

const readyOrders = async () => (await list('pods', `${PARTS}=orders`)).filter(isReady).length;

/** Evicts all pods of orders, as a drain does. The disruption budget lets one go at a time. */
async function evictOrders({ tell }: Field): Promise<Checked> {
  const first = (await list('pods', `${PARTS}=orders`)).filter(isReady);
  const answers = await Promise.all(first.map(({ metadata }) => evict(metadata.name)));
  const refused = answers.filter((answer) => answer.includes('disruption budget')).length;
  tell(`         of ${first.length} evictions at once, ${refused} were refused by the disruption budget`);
  const violations =
    refused === first.length - 1 ? [] : [`of ${first.length} evictions at once, ${refused} were refused`];
  let least = Infinity;
  for (const { metadata } of first)
    await waitFor(
      `${metadata.name} is evicted`,
      async () => {
        least = Math.min(least, await readyOrders());
        return evict(metadata.name);
      },
      { until: (answer) => answer.includes('not found'), timeoutMs: READY_MS },
    );
  await waitFor('orders has three replicas again', readyOrders, {
    until: (count) => count >= 3,
    timeoutMs: READY_MS,
  });
  tell(`         all of them were evicted one by one; never fewer than ${least} were ready`);
  return {
    name: 'eviction',
    promise: 'A drain takes one pod of a service at a time.',
    verified: first.length,
    violations: least >= 2 ? violations : [...violations, `only ${least} pods were ready`],
  };
}

async function evict(name: string): Promise<string> {
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: 'sidecart' } };
  const path = `/api/v1/namespaces/sidecart/pods/${name}/eviction`;
  const { stdout, stderr } = await tryKubectl(['create', '--raw', path, '--filename', '-'], {
    input: JSON.stringify(eviction),
  });
  return stdout + stderr;
}

/** Makes the gateway busy until its autoscaler starts another replica. */
async function autoscale({ tell, signal }: Field): Promise<Checked> {
  const promise = 'The autoscaler starts another gateway when one is busy.';
  const { stdout } = await tryKubectl(['get', 'apiservice', 'v1beta1.metrics.k8s.io', '--output', 'json']);
  if (!stdout.includes('"type": "Available"')) {
    tell('         there are no metrics in this cluster, and so no autoscaling: not tested');
    return { name: 'autoscaler', promise, verified: 0, violations: [] };
  }
  const deadline = performance.now() + AUTOSCALE_MS;
  let replicas = 1;
  while (replicas < 2 && performance.now() < deadline) {
    signal.throwIfAborted();
    await kubectl(['exec', 'door', '--', 'node', '--eval', CROWD]);
    replicas = (await list('pods', `${PARTS}=gateway`)).filter(isReady).length;
  }
  const scaler = await kubectl(['get', 'horizontalpodautoscaler', 'gateway', '--no-headers']);
  tell(`         the gateway has ${replicas} replicas that are ready; autoscaler: ${scaler.trim()}`);
  const violations = replicas < 2 ? [`after ${AUTOSCALE_MS / 1000} s: ${scaler.trim()}`] : [];
  return { name: 'autoscaler', promise, verified: replicas, violations };
}
