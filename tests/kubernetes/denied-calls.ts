import { join } from 'node:path';
import { root } from '../../deploy/local/machine/paths.ts';
import { kubectl, findReadyPod, tryKubectl, waitForCluster } from './cluster.ts';
import {
  connect,
  request,
  connectWithoutCertificate,
  type PodResponse,
  type Request,
} from './pod-requests.ts';

/** A call, the layer that allows or denies it, and the expected result. */
interface AccessTest {
  layer: string;
  description: string;
  call: () => Promise<PodResponse>;
  expected: RegExp;
}

export interface AccessTestResult extends Pick<AccessTest, 'layer' | 'description'> {
  actual: string;
  isExpected: boolean;
}

const sidecar = (path: string) => `http://127.0.0.1:3500/v1.0/${path}`;
const format = ({ status, text }: PodResponse) => `${status ?? 'no response'} ${text}`.trim();
const ORDER = '01940f8e-5b1c-7c3e-9d41-2b8a6e0f4c11';
const EVENT = { order_id: ORDER, reason: 'a test' };
const NO_CONNECTION = /no response (ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ECONNRESET)/;

/** The services whose pods make the calls. None of them has a twin. */
const CALLERS = ['gateway', 'orders', 'returns', 'users', 'notifications'] as const;
type Caller = (typeof CALLERS)[number];
type PodOf = (name: Caller) => string;
type RequestFrom = (name: Caller, podRequest: Request) => () => Promise<PodResponse>;

/** Makes all calls that must be denied, and similar ones that must succeed. */
export async function checkDeniedCalls(print: (line: string) => void): Promise<AccessTestResult[]> {
  const pods = await Promise.all(CALLERS.map(findReadyPod));
  const podOf: PodOf = (name) => pods[CALLERS.indexOf(name)] ?? '';
  const requestFrom: RequestFrom = (name, podRequest) => () => request(podOf(name), podRequest);
  const results = [
    ...(await runTests(networkTests(requestFrom, podOf), print)),
    ...(await runTests(tokenTests(requestFrom), print)),
    ...(await runTests(sidecarApiTests(requestFrom), print)),
    ...(await runTests(dataTests(), print)),
  ];
  const openNetwork = join(root, 'tests/kubernetes/open-network.yaml');
  await kubectl(['apply', '--filename', openNetwork]);
  try {
    await waitForCluster('the network is open', () => connect('outsider', 'orders', 8080), {
      until: ({ text }) => text === 'connected',
      timeoutMs: 30_000,
    });
    results.push(...(await runTests(openNetworkTests(requestFrom), print)));
  } finally {
    await kubectl(['delete', '--filename', openNetwork]);
  }
  return [...results, ...(await runTests([forbiddenSubscription()], print))];
}

function networkTests(requestFrom: RequestFrom, podOf: PodOf): AccessTest[] {
  const layer = 'network policy';
  const tcp = (pod: string, host: string, port: number) => async () => {
    const { text } = await connect(pod, host, port);
    return { text };
  };
  return [
    {
      layer,
      description: 'control: a pod without a sidecar connects to the gateway',
      call: tcp('outsider', 'gateway', 8080),
      expected: /connected/,
    },
    {
      layer,
      description: 'a pod without a sidecar calls orders',
      call: tcp('outsider', 'orders', 8080),
      expected: NO_CONNECTION,
    },
    {
      layer,
      description: '… the sidecar of orders',
      call: tcp('outsider', 'orders-dapr', 50002),
      expected: NO_CONNECTION,
    },
    { layer, description: '… PostgreSQL', call: tcp('outsider', 'postgres', 5432), expected: NO_CONNECTION },
    { layer, description: '… Redis', call: tcp('outsider', 'redis', 6379), expected: NO_CONNECTION },
    {
      layer,
      description: '… the operator port',
      call: tcp('outsider', 'gateway', 8079),
      expected: NO_CONNECTION,
    },
    {
      layer,
      description: 'control: notifications connects to the mail catcher',
      call: tcp(podOf('notifications'), 'mail-catcher', 1025),
      expected: /connected/,
    },
    {
      layer,
      description: 'returns calls the mail catcher',
      call: tcp(podOf('returns'), 'mail-catcher', 1025),
      expected: NO_CONNECTION,
    },
    {
      layer,
      description: '… the API server of Kubernetes',
      call: tcp(podOf('returns'), 'kubernetes.default', 443),
      expected: NO_CONNECTION,
    },
    {
      layer,
      description: '… users, through its sidecar',
      call: requestFrom('returns', { url: sidecar(`invoke/users/method/users/${ORDER}`) }),
      expected: /^5\d\d .*(ERR_DIRECT_INVOKE|connect)/,
    },
  ];
}

function tokenTests(requestFrom: RequestFrom): AccessTest[] {
  const layer = 'token';
  const state = sidecar('state/statestore/nothing');
  const asApp = { url: `http://127.0.0.1:8080/orders/${ORDER}` };
  return [
    {
      layer,
      description: 'control: orders calls its sidecar',
      call: requestFrom('orders', { url: state }),
      expected: /^204/,
    },
    {
      layer,
      description: 'a wrong API token',
      call: requestFrom('orders', { url: state, token: 'wrong' }),
      expected: /^401/,
    },
    {
      layer,
      description: 'no API token',
      call: requestFrom('orders', { url: state, token: 'none' }),
      expected: /^401/,
    },
    {
      layer,
      description: 'a wrong app token',
      call: requestFrom('orders', { ...asApp, token: 'wrong' }),
      expected: /^401/,
    },
    {
      layer,
      description: 'no app token',
      call: requestFrom('orders', { ...asApp, token: 'none' }),
      expected: /^401/,
    },
    {
      layer,
      description: 'the API token instead of the app token',
      call: requestFrom('orders', asApp),
      expected: /^401/,
    },
  ];
}

function sidecarApiTests(requestFrom: RequestFrom): AccessTest[] {
  const publish = (topic: string): Request => ({
    url: sidecar(`publish/pubsub/${topic}`),
    method: 'POST',
    body: EVENT,
  });
  return [
    {
      layer: 'API allow list',
      description: 'orders reads secrets',
      call: requestFrom('orders', { url: sidecar('secrets/kubernetes/redis') }),
      expected: /^404/,
    },
    {
      layer: 'API allow list',
      description: '… metadata',
      call: requestFrom('orders', { url: sidecar('metadata') }),
      expected: /^404/,
    },
    {
      layer: 'API allow list',
      description: 'orders shuts down its sidecar',
      call: requestFrom('orders', { url: sidecar('shutdown'), method: 'POST' }),
      expected: /^404/,
    },
    {
      layer: 'API allow list',
      description: 'notifications invokes payments',
      call: requestFrom('notifications', { url: sidecar('invoke/payments/method/readyz') }),
      expected: /^404/,
    },
    {
      layer: 'API allow list',
      description: 'users sets a lock',
      call: requestFrom('users', {
        url: 'http://127.0.0.1:3500/v1.0-alpha1/lock/statestore',
        method: 'POST',
        body: {},
      }),
      expected: /^404/,
    },
    {
      layer: 'pub/sub scope',
      description: 'orders publishes payment.processed',
      call: requestFrom('orders', publish('payment.processed')),
      expected: /^403/,
    },
    {
      layer: 'pub/sub scope',
      description: 'returns publishes order.paid',
      call: requestFrom('returns', publish('order.paid')),
      expected: /^403/,
    },
    {
      layer: 'component scope',
      description: 'gateway reads a state store',
      call: requestFrom('gateway', { url: sidecar('state/statestore/nothing') }),
      expected: /^(400|404)/,
    },
    {
      layer: 'component scope',
      description: 'orders sends an e-mail',
      call: requestFrom('orders', {
        url: sidecar('bindings/email'),
        method: 'POST',
        body: { operation: 'create' },
      }),
      expected: /^(400|404)/,
    },
  ];
}

/** Access to the data of other services. */
function dataTests(): AccessTest[] {
  const psql = (database: string) => async () => {
    const login = `PGPASSWORD="$(cat /passwords/orders)" psql -h 127.0.0.1 -U orders -d ${database} -tAc "select 1"`;
    const { stdout, stderr } = await tryKubectl(['exec', 'postgres-0', '--', 'sh', '-c', login]);
    return { text: (stdout || stderr).trim() };
  };
  const mayReadSecrets = async () => {
    const account = `system:serviceaccount:sidecart:orders`;
    const { stdout } = await tryKubectl(['auth', 'can-i', 'get', 'secrets', '--as', account]);
    return { text: stdout.trim() };
  };
  const privileged = async () => {
    const spec = { containers: [{ name: 'app', image: 'none', securityContext: { privileged: true } }] };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'privileged' }, spec };
    const { stdout, stderr } = await tryKubectl(['create', '--filename', '-'], {
      input: JSON.stringify(pod),
    });
    return { text: (stdout || stderr).trim().slice(0, 160) };
  };
  return [
    {
      layer: 'database user',
      description: 'control: orders connects to its own database',
      call: psql('orders'),
      expected: /no response 1$/,
    },
    {
      layer: 'database user',
      description: 'orders connects to the database of payments',
      call: psql('payments'),
      expected: /permission denied for database/,
    },
    {
      layer: 'service account',
      description: 'orders reads secrets of Kubernetes',
      call: mayReadSecrets,
      expected: /no response no$/,
    },
    {
      layer: 'pod security',
      description: 'a privileged pod',
      call: privileged,
      expected: /violates PodSecurity "restricted/,
    },
  ];
}

function openNetworkTests(requestFrom: RequestFrom): AccessTest[] {
  const own = (url: string): Request => ({ url: sidecar(url) });
  return [
    {
      layer: 'mTLS',
      description: 'a pod without a certificate calls the sidecar of orders',
      call: () => connectWithoutCertificate('outsider', 'orders-dapr', 50002),
      expected: /no response (ERR_SSL|ECONNRESET|closed)/,
    },
    {
      layer: 'token',
      description: 'a pod without a token calls the port of orders',
      call: () => request('outsider', { url: `http://orders:8080/orders/${ORDER}`, token: 'none' }),
      expected: /^401/,
    },
    {
      layer: 'access control',
      description: 'control: returns reads orders',
      call: requestFrom('returns', own(`invoke/orders/method/orders?ids=${ORDER}`)),
      expected: /^200 .*items/,
    },
    {
      layer: 'access control',
      description: 'returns calls users',
      call: requestFrom('returns', own(`invoke/users/method/users/${ORDER}`)),
      expected: /^403/,
    },
    {
      layer: 'access control',
      description: 'returns calls a forbidden path of orders',
      call: requestFrom('returns', own(`invoke/orders/method/orders/${ORDER}/changes`)),
      expected: /^403/,
    },
    {
      layer: 'access control',
      description: '… with a forbidden method',
      call: requestFrom('returns', { ...own('invoke/orders/method/orders'), method: 'DELETE' }),
      expected: /^403/,
    },
    {
      layer: 'access control',
      description: 'gateway delivers an event to orders',
      call: requestFrom('gateway', {
        ...own('invoke/orders/method/events/payment.processed'),
        method: 'POST',
        body: EVENT,
      }),
      expected: /^403/,
    },
  ];
}

/** A sidecar reads subscriptions at its start, so `users` has to restart. */
function forbiddenSubscription(): AccessTest {
  return {
    layer: 'pub/sub scope',
    description: 'users subscribes to order.created',
    expected: /subscription to topic .* is not allowed/,
    async call() {
      const file = join(root, 'tests/kubernetes/forbidden-subscription.yaml');
      await kubectl(['apply', '--filename', file]);
      try {
        await restart('users');
        const log = await kubectl(['logs', await findReadyPod('users'), '--container', 'daprd']);
        const rejection = log.split('\n').find((line) => line.includes('order.created'));
        return { text: rejection === undefined ? 'no entry in the log' : messageOf(rejection) };
      } finally {
        await kubectl(['delete', '--filename', file]);
        await restart('users');
      }
    },
  };
}

async function restart(app: string): Promise<void> {
  await kubectl(['rollout', 'restart', `deployment/${app}`]);
  await kubectl(['rollout', 'status', `deployment/${app}`, '--timeout=120s'], { timeoutMs: 130_000 });
}

const messageOf = (line: string) => (JSON.parse(line) as { msg: string }).msg.trim();

async function runTests(
  tests: readonly AccessTest[],
  print: (line: string) => void,
): Promise<AccessTestResult[]> {
  const results: AccessTestResult[] = [];
  for (const { layer, description, call, expected } of tests) {
    const actual = await call().then(format, (error: unknown) => String(error));
    const isExpected = expected.test(actual);
    print(
      `  ${isExpected ? 'as expected' : 'UNEXPECTED '}  ${layer}: ${description}: ${actual.slice(0, 120)}`,
    );
    results.push({ layer, description, actual, isExpected });
  }
  return results;
}
