import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stringify } from 'yaml';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { act, type Act } from '../faults/act.ts';
import { recoveries } from '../faults/recovery.ts';
import { isGood, readable, succeededOf, type Report } from '../faults/report.ts';
import { catalogue, shelf } from '../faults/shelf.ts';
import { tally } from '../faults/tally.ts';
import { describeMachine } from '../support/machine.ts';
import { registerCustomer, placeOrder, waitForStatus } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';
import { waitForEdges } from '../support/zipkin.ts';
import { clusterAttack } from './attack.ts';
import { forward, isReady, kubectl, list, NAMESPACE, run as runProgram, tryKubectl } from './cluster.ts';
import { loadImages, type ReplacedImage } from './images.ts';
import { seeRefusals } from './refusals.ts';
import { missing } from './requirements.ts';

export interface RunOptions {
  /** Builds an image and brings it into the cluster: see images.ts. */
  imageCommand: string;
  /** Where the cluster finds these images, such as `registry.example/shop/`; empty where it has them by their names. */
  registry: string;
  /** Images that come from elsewhere than the overlay says. */
  images: readonly ReplacedImage[];
  seed: string;
  signal: AbortSignal;
  tell: (line: string) => void;
}

/** Milliseconds. Images are pulled and databases made meanwhile. */
const START_MS = 600_000;
const DEMO_MS = 180_000;
const REMOVE_MS = 180_000;

/** The whole test. @returns whether everything was as it has to be. @throws Error where a step could not be done */
export async function run({
  imageCommand,
  registry,
  images,
  seed,
  signal,
  tell,
}: RunOptions): Promise<boolean> {
  const problems = await missing();
  if (problems.length > 0)
    throw new Error(`This cluster cannot be used:\n${problems.map((one) => `  ${one}`).join('\n')}`);

  tell('\n1. Images');
  const built = await loadImages(imageCommand, registry, tell);
  const scratch = mkdtempSync(join(ensureFolder(root, '.sidecart/kubernetes'), 'run-'));
  const closing: (() => Promise<unknown>)[] = [];
  try {
    tell('\n2. deploy/kubernetes/overlays/local');
    const products = shelf('shop');
    closing.push(remove);
    await apply(scratch, [...built, ...images], [FOR_THE_DEMO, ...catalogue([products])]);
    await untilStarted(signal, tell);
    const door = await forward('door', [8080, 9411, 8025]);
    closing.push(() => door.close());
    // Whoever gets no answer at one asks once more at the other.
    const second = await forward('door', [8080]);
    closing.push(() => second.close());
    const at = (port: number) => `http://127.0.0.1:${door.portOf(port)}`;
    const [api, zipkin, mails] = [at(8080), at(9411), at(8025)];

    tell('\n3. npm run demo');
    tell(await demo(api));

    tell('4. Calls that have to be refused');
    const refusals = await seeRefusals(tell);

    tell('\n5. Faults under load, and every promise');
    const admin = await administrator();
    const acted = await act(
      {
        doors: [api, `http://127.0.0.1:${second.portOf(8080)}`],
        units: new Map(),
        system: { admin, urls: { mails } },
      },
      {
        seed,
        shelf: products,
        customers: 16,
        restMs: 3_000,
        attack: clusterAttack(),
        settleMs: 15_000,
        quietMs: 240_000,
        signal,
        tell: (line) => tell(`  ${line}`),
      },
    );
    const report = reportOn(seed, acted);
    tell(readable(report));

    tell('\n6. The trace of an order');
    tell(`  ${await traced(api, zipkin)}`);
    const restarts = door.restarts() + second.restarts();
    if (restarts > 0) tell(`  kubectl port-forward ended by itself ${restarts} times.`);
    const wrong = refusals.filter(({ isRight }) => !isRight);
    tell(`\n${refusals.length - wrong.length} of ${refusals.length} calls were answered as they must be.`);
    return wrong.length === 0 && isGood(report);
  } finally {
    tell('\n7. Removing what was made');
    for (const close of closing.toReversed()) await close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Applies the test's overlay with these images and this catalogue. */
async function apply(scratch: string, images: readonly ReplacedImage[], products: unknown): Promise<void> {
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace: NAMESPACE,
    resources: [relative(scratch, join(root, 'tests/kubernetes/overlay'))],
    configMapGenerator: [{ name: 'catalogue', files: ['catalogue.json'] }],
    images,
  };
  writeFileSync(join(scratch, 'kustomization.yaml'), stringify(kustomization));
  writeFileSync(join(scratch, 'catalogue.json'), JSON.stringify(products));
  await kubectl(['apply', '--filename', join(root, 'deploy/kubernetes/base/namespace.yaml')]);
  const made = await runProgram(join(root, 'deploy/kubernetes/make-secrets'), []);
  if (made.status !== 0) throw new Error(`make-secrets: ${made.stderr.trim()}`);
  await kubectl(['apply', '--kustomize', scratch], { deadlineMs: 120_000 });
}

/** Waits until every pod is ready, and tells how far it is. */
async function untilStarted(signal: AbortSignal, tell: (line: string) => void): Promise<void> {
  const started = performance.now();
  let before = '';
  const pods = await waitFor(
    'all pods are ready',
    async () => {
      signal.throwIfAborted();
      const all = await list('pods');
      const progress = `${all.filter(isReady).length} of ${all.length} pods are ready`;
      if (progress !== before) tell(`  ${seconds(started)}  ${progress}`);
      before = progress;
      return all.map((pod) => ({ name: pod.metadata.name, ready: isReady(pod) }));
    },
    { until: (all) => all.length > 0 && all.every(({ ready }) => ready), timeoutMs: START_MS },
  );
  if (pods.length === 0) throw new Error('there are no pods');
  tell((await kubectl(['get', 'pods'])).trimEnd().replaceAll(/^/gm, '  '));
}

async function demo(api: string): Promise<string> {
  const { status, stdout, stderr } = await runProgram(
    process.execPath,
    [join(root, 'dist/deploy/local/commands/demo.js')],
    {
      deadlineMs: DEMO_MS,
      env: { SIDECART_API_URL: api },
    },
  );
  if (status !== 0) throw new Error(`npm run demo: ${stderr.trim() || stdout.trim()}`);
  return stdout.trimEnd().replaceAll(/^/gm, '  ');
}

async function administrator() {
  const { data } = JSON.parse(await kubectl(['get', 'secret', 'admin', '--output', 'json'])) as {
    data: Record<string, string>;
  };
  const value = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString();
  return { email: value('email'), password: value('password'), isGenerated: true };
}

/** The demo buys the first product of which there are ten: none of those that the checks count. */
const FOR_THE_DEMO = { product_id: 'demo', name: 'Demo', unit_price: 1_290, currency: 'EUR', on_hand: 1_000 };

/** Where the trace of a delivered order has to lead. */
const EDGES = [
  'gateway -> orders',
  'orders -> inventory',
  'inventory -> orders',
  'orders -> payments',
  'payments -> orders',
  'orders -> fulfilment',
  'orders -> notifications',
  'orders -> history',
];

async function traced(api: string, zipkin: string): Promise<string> {
  const customer = await registerCustomer(api);
  const { orderId, traceId } = await placeOrder(customer, { product: shelf('shop').last });
  await waitForStatus(customer, orderId, 'DELIVERED', 60_000);
  const edges = await waitForEdges(zipkin, traceId, EDGES);
  await customer.call.close();
  return `order ${orderId}, trace ${traceId}: ${[...edges].toSorted().join(', ')}`;
}

function reportOn(
  seed: string,
  { journal, scene, seconds: lasted, faults, figures, checks, quietAfter }: Act,
): Report {
  return {
    seed,
    mode: 'kubernetes',
    profile: 'overlays/local',
    date: new Date().toISOString(),
    machine: describeMachine(),
    seconds: lasted,
    faults: recoveries(faults, journal.accepted, scene.orders),
    missing: [],
    endedByItself: {},
    requests: Object.fromEntries(journal.tries),
    failures: Object.fromEntries(journal.failures),
    succeeded: succeededOf(journal),
    orders: tally([...scene.orders.values()].map(({ order }) => order.status)),
    heldUp: {},
    quietAfter,
    figures,
    checks,
    vacuous: journal.accepted.size >= 100 ? [] : [`only ${journal.accepted.size} orders`],
  };
}

/** The namespace, and what is in it. */
async function remove(): Promise<void> {
  await tryKubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', `--timeout=${REMOVE_MS}ms`], {
    deadlineMs: REMOVE_MS + 10_000,
  });
}

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1).padStart(6)} s`;
