import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureFolder, root } from '../../deploy/local/machine/paths.ts';
import { titleOf, type Twin } from '../../deploy/local/programs/twins.ts';
import { runExperiment, type ExperimentResult } from '../faults/experiment.ts';
import { measureRecoveries } from '../faults/recovery.ts';
import { isGood, formatReport, firstTrySuccessRateOf, type Report } from '../faults/report.ts';
import { createCatalogue, createTestProducts } from '../faults/test-products.ts';
import { countFailures } from '../faults/journal.ts';
import { tally } from '../faults/tally.ts';
import { describeMachine } from '../support/machine.ts';
import { registerCustomer, placeOrder, waitForStatus } from '../support/shop.ts';
import { waitForEdges } from '../support/zipkin.ts';
import { createClusterAttack } from './attack.ts';
import {
  forwardPorts,
  isReady,
  kubectl,
  list,
  NAMESPACE,
  run as runProgram,
  tryKubectl,
  waitForCluster,
} from './cluster.ts';
import { imagesToBuild, loadImages, type ReplacedImage } from './images.ts';
import { checkDeniedCalls } from './denied-calls.ts';
import { findProblems } from './requirements.ts';
import { writeOverlay } from './write-overlay.ts';

export interface RunOptions {
  /** Builds and loads an image: see images.ts. */
  imageCommand: string;
  /** The prefix of these images, such as `registry.example/shop/`, or an empty string. */
  registry: string;
  /** Replacements of images in the overlay. */
  images: readonly ReplacedImage[];
  /** The services in other languages. */
  twins: readonly Twin[];
  seed: string;
  signal: AbortSignal;
  print: (line: string) => void;
}

/** The start includes pulling images and creating databases. */
const START_TIMEOUT_MS = 600_000;
const DEMO_TIMEOUT_MS = 180_000;
const DELETE_TIMEOUT_MS = 180_000;

/** Runs the test. @returns whether it passed. @throws Error if a step fails */
export async function run({
  imageCommand,
  registry,
  images,
  twins,
  seed,
  signal,
  print,
}: RunOptions): Promise<boolean> {
  const problems = await findProblems();
  if (problems.length > 0)
    throw new Error(`This cluster cannot be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);

  print('\n1. Images');
  const built = await loadImages(imagesToBuild(twins), imageCommand, registry, print);
  const scratch = mkdtempSync(join(ensureFolder(root, '.sidecart/kubernetes'), 'run-'));
  const closing: (() => Promise<unknown>)[] = [];
  try {
    print('\n2. deploy/kubernetes/overlays/local');
    const products = createTestProducts('shop');
    closing.push(deleteNamespace);
    writeOverlay(scratch, [...built, ...images], [DEMO_PRODUCT, ...createCatalogue([products])]);
    await applyOverlay(scratch);
    await waitUntilStarted(signal, print);
    const relay = await forwardPorts('relay', [8080, 9411, 8025]);
    closing.push(() => relay.close());
    // A client without a response retries at the other one.
    const second = await forwardPorts('relay', [8080]);
    closing.push(() => second.close());
    const at = (port: number) => `http://127.0.0.1:${relay.portOf(port)}`;
    const [api, zipkin, mails] = [at(8080), at(9411), at(8025)];

    print('\n3. npm run demo');
    print(await runDemo(api));

    print('4. Calls that must be denied');
    const accessTests = await checkDeniedCalls(print);

    print('\n5. Faults under load, and the checks of every promise');
    const admin = await readAdministrator();
    const result = await runExperiment(
      {
        gateways: [api, `http://127.0.0.1:${second.portOf(8080)}`],
        units: new Map(),
        system: { admin, urls: { mails } },
      },
      {
        seed,
        products: products,
        customers: 16,
        thinkTimeMs: 3_000,
        attack: createClusterAttack(),
        settleMs: 15_000,
        verifyTimeoutMs: 240_000,
        signal,
        print: (line) => print(`  ${line}`),
      },
    );
    const report = createReport(seed, twins, result);
    print(formatReport(report));

    print('\n6. The trace of an order');
    print(`  ${await traceOrder(api, zipkin)}`);
    const restarts = relay.restarts() + second.restarts();
    if (restarts > 0) print(`  kubectl port-forward was restarted ${restarts} times.`);
    const unexpected = accessTests.filter(({ isExpected }) => !isExpected);
    print(
      `\n${accessTests.length - unexpected.length} of ${accessTests.length} calls had the expected result.`,
    );
    return unexpected.length === 0 && isGood(report);
  } finally {
    print('\n7. Removing the namespace');
    for (const close of closing.toReversed()) await close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function applyOverlay(scratch: string): Promise<void> {
  await kubectl(['apply', '--filename', join(root, 'deploy/kubernetes/base/namespace.yaml')]);
  const secrets = await runProgram(join(root, 'deploy/kubernetes/make-secrets'), []);
  if (secrets.status !== 0) throw new Error(`make-secrets: ${secrets.stderr.trim()}`);
  await kubectl(['apply', '--kustomize', scratch], { timeoutMs: 120_000 });
}

/** Waits until every pod is ready, and prints the progress. */
async function waitUntilStarted(signal: AbortSignal, print: (line: string) => void): Promise<void> {
  const started = performance.now();
  let before = '';
  const pods = await waitForCluster(
    'all pods are ready',
    async () => {
      signal.throwIfAborted();
      const all = await list('pods');
      const progress = `${all.filter(isReady).length} of ${all.length} pods are ready`;
      if (progress !== before) print(`  ${seconds(started)}  ${progress}`);
      before = progress;
      return all.map((pod) => ({ name: pod.metadata.name, ready: isReady(pod) }));
    },
    { until: (all) => all.length > 0 && all.every(({ ready }) => ready), timeoutMs: START_TIMEOUT_MS },
  );
  if (pods.length === 0) throw new Error('there are no pods');
  print((await kubectl(['get', 'pods'])).trimEnd().replaceAll(/^/gm, '  '));
}

async function runDemo(api: string): Promise<string> {
  const { status, stdout, stderr } = await runProgram(
    process.execPath,
    [join(root, 'dist/deploy/local/commands/demo.js')],
    {
      timeoutMs: DEMO_TIMEOUT_MS,
      env: { SIDECART_API_URL: api },
    },
  );
  if (status !== 0) throw new Error(`npm run demo: ${stderr.trim() || stdout.trim()}`);
  return stdout.trimEnd().replaceAll(/^/gm, '  ');
}

async function readAdministrator() {
  const { data } = JSON.parse(await kubectl(['get', 'secret', 'admin', '--output', 'json'])) as {
    data: Record<string, string>;
  };
  const value = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString();
  return { email: value('email'), password: value('password'), isGenerated: true };
}

/** The demo buys the first product with enough stock. It must not be one that the checks count. */
const DEMO_PRODUCT = { product_id: 'demo', name: 'Demo', unit_price: 1_290, currency: 'EUR', on_hand: 1_000 };

/** The calls that the trace of a delivered order must have. */
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

/** The gateway begins one trace per second, which may be that of another request. So the first order may be without a trace. */
const TRACED_ORDERS = 3;

async function traceOrder(api: string, zipkin: string): Promise<string> {
  const customer = await registerCustomer(api);
  try {
    for (let left = TRACED_ORDERS - 1; ; left--) {
      const { orderId, traceId } = await placeOrder(customer, { product: createTestProducts('shop').last });
      await waitForStatus(customer, orderId, 'DELIVERED', 60_000);
      const edges = await waitForEdges(zipkin, traceId, EDGES).catch((error: unknown) => {
        if (left === 0) throw error;
      });
      if (edges) return `order ${orderId}, trace ${traceId}: ${[...edges].toSorted().join(', ')}`;
    }
  } finally {
    await customer.call.close();
  }
}

function createReport(
  seed: string,
  twins: readonly Twin[],
  { journal, context, seconds: durationSeconds, faults, figures, checks, settledAfterMs }: ExperimentResult,
): Report {
  return {
    seed,
    mode: 'kubernetes',
    profile: 'overlays/local',
    twins: twins.map(titleOf),
    date: new Date().toISOString(),
    machine: describeMachine(),
    seconds: durationSeconds,
    faults: measureRecoveries(faults, journal.accepted, context.orders),
    unavailableFaultTypes: [],
    unexpectedExits: {},
    requests: Object.fromEntries(journal.firstTries),
    failures: countFailures(journal.failures),
    firstTrySuccessRate: firstTrySuccessRateOf(journal),
    orders: tally([...context.orders.values()].map(({ order }) => order.status)),
    delayedSteps: {},
    settledAfterMs,
    figures,
    checks,
    inconclusiveReasons: journal.accepted.size >= 100 ? [] : [`only ${journal.accepted.size} orders`],
  };
}

/** Deletes the namespace with all resources. */
async function deleteNamespace(): Promise<void> {
  await tryKubectl(
    ['delete', 'namespace', NAMESPACE, '--ignore-not-found', `--timeout=${DELETE_TIMEOUT_MS}ms`],
    {
      timeoutMs: DELETE_TIMEOUT_MS + 10_000,
    },
  );
}

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1).padStart(6)} s`;
