import { join } from 'node:path';
import { waitFor } from '../support/wait.ts';
import { root } from '../../deploy/local/machine/paths.ts';
import { kubectl, podOf, tryKubectl } from './cluster.ts';
import { connection, request, withoutCertificate, type Reached, type Request } from './inside.ts';

/** A call, the layer that decides about it, and what it has to be answered. */
interface Attempt {
  layer: string;
  what: string;
  make: () => Promise<Reached>;
  expected: RegExp;
}

export interface Outcome extends Pick<Attempt, 'layer' | 'what'> {
  seen: string;
  isRight: boolean;
}

const sidecar = (path: string) => `http://127.0.0.1:3500/v1.0/${path}`;
const said = ({ status, text }: Reached) => `${status ?? 'no answer'} ${text}`.trim();
const ORDER = '01940f8e-5b1c-7c3e-9d41-2b8a6e0f4c11';
const EVENT = { order_id: ORDER, reason: 'a test' };
const NO_CONNECTION = /no answer (ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ECONNRESET)/;

/** Makes each call that has to be refused, and some of the same kind that must not be. */
export async function seeRefusals(tell: (line: string) => void): Promise<Outcome[]> {
  const names = ['gateway', 'orders', 'payments', 'users', 'notifications'] as const;
  const pods = await Promise.all(names.map(podOf));
  const podBy = (name: (typeof names)[number]) => pods[names.indexOf(name)] ?? '';
  const from = (name: (typeof names)[number], asked: Request) => () => request(podBy(name), asked);
  const outcomes = [
    ...(await see(behindTheNetwork(from, podBy), tell)),
    ...(await see(tokens(from), tell)),
    ...(await see(sidecarApis(from), tell)),
    ...(await see(data(), tell)),
  ];
  const opened = join(root, 'tests/kubernetes/opened.yaml');
  await kubectl(['apply', '--filename', opened]);
  try {
    await waitFor('the network is open', () => connection('stranger', 'orders', 8080), {
      until: ({ text }) => text === 'connected',
      timeoutMs: 30_000,
    });
    outcomes.push(...(await see(withOpenNetwork(from), tell)));
  } finally {
    await kubectl(['delete', '--filename', opened]);
  }
  return [...outcomes, ...(await see([uninvited()], tell))];
}

type From = (
  name: 'gateway' | 'orders' | 'payments' | 'users' | 'notifications',
  asked: Request,
) => () => Promise<Reached>;

function behindTheNetwork(from: From, podBy: (name: 'payments' | 'notifications') => string): Attempt[] {
  const layer = 'network policy';
  const tcp = (pod: string, host: string, port: number) => async () => {
    const { text } = await connection(pod, host, port);
    return { text };
  };
  return [
    {
      layer,
      what: 'control: a pod without a sidecar finds the gateway',
      make: tcp('stranger', 'gateway', 8080),
      expected: /connected/,
    },
    {
      layer,
      what: 'a pod without a sidecar calls orders',
      make: tcp('stranger', 'orders', 8080),
      expected: NO_CONNECTION,
    },
    {
      layer,
      what: '… the sidecar of orders',
      make: tcp('stranger', 'orders-dapr', 50002),
      expected: NO_CONNECTION,
    },
    { layer, what: '… PostgreSQL', make: tcp('stranger', 'postgres', 5432), expected: NO_CONNECTION },
    { layer, what: '… Redis', make: tcp('stranger', 'redis', 6379), expected: NO_CONNECTION },
    {
      layer,
      what: '… the port for operators',
      make: tcp('stranger', 'gateway', 8079),
      expected: NO_CONNECTION,
    },
    {
      layer,
      what: 'control: notifications finds the mail catcher',
      make: tcp(podBy('notifications'), 'mail-catcher', 1025),
      expected: /connected/,
    },
    {
      layer,
      what: 'payments calls the mail catcher',
      make: tcp(podBy('payments'), 'mail-catcher', 1025),
      expected: NO_CONNECTION,
    },
    {
      layer,
      what: '… the API server of Kubernetes',
      make: tcp(podBy('payments'), 'kubernetes.default', 443),
      expected: NO_CONNECTION,
    },
    {
      layer,
      what: '… users, through its sidecar',
      make: from('payments', { url: sidecar(`invoke/users/method/users/${ORDER}`) }),
      expected: /^5\d\d .*(ERR_DIRECT_INVOKE|connect)/,
    },
  ];
}

function tokens(from: From): Attempt[] {
  const layer = 'token';
  const state = sidecar('state/statestore/nothing');
  const asApp = { url: `http://127.0.0.1:8080/orders/${ORDER}` };
  return [
    {
      layer,
      what: 'control: orders asks its sidecar',
      make: from('orders', { url: state }),
      expected: /^204/,
    },
    {
      layer,
      what: 'a wrong API token',
      make: from('orders', { url: state, token: 'wrong' }),
      expected: /^401/,
    },
    { layer, what: 'no API token', make: from('orders', { url: state, token: 'none' }), expected: /^401/ },
    {
      layer,
      what: 'a wrong app token',
      make: from('orders', { ...asApp, token: 'wrong' }),
      expected: /^401/,
    },
    { layer, what: 'no app token', make: from('orders', { ...asApp, token: 'none' }), expected: /^401/ },
    {
      layer,
      what: 'the API token in the place of the app token',
      make: from('orders', asApp),
      expected: /^401/,
    },
  ];
}

function sidecarApis(from: From): Attempt[] {
  const publish = (topic: string): Request => ({
    url: sidecar(`publish/pubsub/${topic}`),
    method: 'POST',
    body: EVENT,
  });
  return [
    {
      layer: 'API allow list',
      what: 'orders asks for secrets',
      make: from('orders', { url: sidecar('secrets/kubernetes/redis') }),
      expected: /^404/,
    },
    {
      layer: 'API allow list',
      what: '… for metadata',
      make: from('orders', { url: sidecar('metadata') }),
      expected: /^404/,
    },
    {
      layer: 'API allow list',
      what: '… for a shutdown',
      make: from('orders', { url: sidecar('shutdown'), method: 'POST' }),
      expected: /^404/,
    },
    {
      layer: 'API allow list',
      what: 'notifications invokes payments',
      make: from('notifications', { url: sidecar('invoke/payments/method/readyz') }),
      expected: /^404/,
    },
    {
      layer: 'API allow list',
      what: 'users sets a lock',
      make: from('users', {
        url: 'http://127.0.0.1:3500/v1.0-alpha1/lock/statestore',
        method: 'POST',
        body: {},
      }),
      expected: /^404/,
    },
    {
      layer: 'pub/sub scope',
      what: 'orders publishes payment.processed',
      make: from('orders', publish('payment.processed')),
      expected: /^403/,
    },
    {
      layer: 'pub/sub scope',
      what: 'payments publishes order.paid',
      make: from('payments', publish('order.paid')),
      expected: /^403/,
    },
    {
      layer: 'component scope',
      what: 'gateway reads a state store',
      make: from('gateway', { url: sidecar('state/statestore/nothing') }),
      expected: /^(400|404)/,
    },
    {
      layer: 'component scope',
      what: 'orders sends a mail',
      make: from('orders', { url: sidecar('bindings/email'), method: 'POST', body: { operation: 'create' } }),
      expected: /^(400|404)/,
    },
  ];
}

/** What belongs to others. */
function data(): Attempt[] {
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
      what: 'control: orders enters its own database',
      make: psql('orders'),
      expected: /no answer 1$/,
    },
    {
      layer: 'database user',
      what: 'orders enters the database of payments',
      make: psql('payments'),
      expected: /permission denied for database/,
    },
    {
      layer: 'service account',
      what: 'orders reads secrets of Kubernetes',
      make: mayReadSecrets,
      expected: /no answer no$/,
    },
    {
      layer: 'pod security',
      what: 'a privileged pod',
      make: privileged,
      expected: /violates PodSecurity "restricted/,
    },
  ];
}

function withOpenNetwork(from: From): Attempt[] {
  const own = (url: string): Request => ({ url: sidecar(url) });
  return [
    {
      layer: 'mTLS',
      what: 'a pod without a certificate talks to the sidecar of orders',
      make: () => withoutCertificate('stranger', 'orders-dapr', 50002),
      expected: /no answer (ERR_SSL|ECONNRESET|closed)/,
    },
    {
      layer: 'token',
      what: 'a pod without a token calls orders at its port',
      make: () => request('stranger', { url: `http://orders:8080/orders/${ORDER}`, token: 'none' }),
      expected: /^401/,
    },
    {
      layer: 'access control',
      what: 'control: payments reads an order',
      make: from('payments', own(`invoke/orders/method/orders/${ORDER}`)),
      expected: /^404 .*problem/,
    },
    {
      layer: 'access control',
      what: 'payments calls users',
      make: from('payments', own(`invoke/users/method/users/${ORDER}`)),
      expected: /^403/,
    },
    {
      layer: 'access control',
      what: 'payments calls orders at a path that is not allowed',
      make: from('payments', own(`invoke/orders/method/orders/${ORDER}/changes`)),
      expected: /^403/,
    },
    {
      layer: 'access control',
      what: '… with a verb that is not allowed',
      make: from('payments', { ...own(`invoke/orders/method/orders/${ORDER}`), method: 'DELETE' }),
      expected: /^403/,
    },
    {
      layer: 'access control',
      what: 'gateway delivers an event to orders',
      make: from('gateway', {
        ...own('invoke/orders/method/events/payment.processed'),
        method: 'POST',
        body: EVENT,
      }),
      expected: /^403/,
    },
  ];
}

/** A subscription is read when a sidecar starts, so that users has to start again. */
function uninvited(): Attempt {
  return {
    layer: 'pub/sub scope',
    what: 'users subscribes to order.created',
    expected: /subscription to topic .* is not allowed/,
    async make() {
      const file = join(root, 'tests/kubernetes/uninvited.yaml');
      await kubectl(['apply', '--filename', file]);
      try {
        await restart('users');
        const log = await kubectl(['logs', await podOf('users'), '--container', 'daprd']);
        const refused = log.split('\n').find((line) => line.includes('order.created'));
        return { text: refused === undefined ? 'nothing about it in the log' : messageOf(refused) };
      } finally {
        await kubectl(['delete', '--filename', file]);
        await restart('users');
      }
    },
  };
}

async function restart(app: string): Promise<void> {
  await kubectl(['rollout', 'restart', `deployment/${app}`]);
  await kubectl(['rollout', 'status', `deployment/${app}`, '--timeout=120s'], { deadlineMs: 130_000 });
}

const messageOf = (line: string) => (JSON.parse(line) as { msg: string }).msg.trim();

async function see(attempts: readonly Attempt[], tell: (line: string) => void): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { layer, what, make, expected } of attempts) {
    const seen = await make().then(said, (error: unknown) => String(error));
    const isRight = expected.test(seen);
    tell(`  ${isRight ? 'as it must be' : 'WRONG        '}  ${layer}: ${what}: ${seen.slice(0, 120)}`);
    outcomes.push({ layer, what, seen, isRight });
  }
  return outcomes;
}
