import { describe, expect, it } from 'vitest';
import { ACCESS } from '../../services/access.ts';
import { componentSchema } from '../../deploy/local/configuration/component-files.ts';
import { renderAll, type Manifest } from '../support/manifests.ts';
import { connections, type Endpoint } from '../support/network-policies.ts';
import { servicesIn, workloadsIn } from '../support/workloads.ts';

/** The network policies at both ends of each connection allow exactly what the table and the components need. */

const rendered = (await renderAll()).filter(({ manifests }) => servicesIn(manifests).length > 0);
const APPS = ACCESS.map(({ app }) => app);

const appIn = (namespace: string, name: string, label: string): Endpoint => ({
  name,
  namespace,
  labels: { [label]: name },
});
const DNS: Endpoint = { name: 'dns', namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } };
const DAPR = [
  'dapr-sentry',
  'dapr-operator',
  'dapr-scheduler-server',
  'dapr-placement-server',
  'dapr-sidecar-injector',
];
const others: Endpoint[] = [
  DNS,
  ...DAPR.map((name) => appIn('dapr-system', name, 'app')),
  appIn('monitoring', 'prometheus', 'app.kubernetes.io/name'),
  appIn('monitoring', 'zipkin-outside', 'app.kubernetes.io/name'),
  { name: 'edge', namespace: 'edge', labels: {} },
  // Endpoints without access: a pod of another namespace with the labels of an app, and the internet.
  {
    name: 'twin',
    namespace: 'default',
    labels: { 'app.kubernetes.io/name': 'orders', 'app.kubernetes.io/part-of': 'sidecart' },
  },
  { name: 'world', labels: {}, network: '0.0.0.0/0' },
  { name: 'stores', labels: {}, network: '10.20.0.0/16' },
];

/** An unknown pod in the namespace, which may only resolve names. */
const UNKNOWN_POD: Endpoint = { name: 'stranger', labels: {} };

/** The connections that every overlay needs. */
function base(pods: readonly Endpoint[]) {
  const calls = ACCESS.flatMap(({ app, calls: called, apis }) =>
    [...called.map(({ service }) => service), ...(apis.includes('workflows') ? [app] : [])].map(
      (service) => `${app} -> ${service}:50002`,
    ),
  );
  const daprs = APPS.flatMap((app) => [
    `${app} -> dapr-sentry:50001`,
    `${app} -> dapr-operator:6500`,
    `${app} -> dapr-scheduler-server:50006`,
  ]);
  const workflows = ACCESS.filter(({ apis }) => apis.includes('workflows')).map(({ app }) => app);
  const placement = workflows.map((app) => `${app} -> dapr-placement-server:50005`);
  const names = pods.flatMap(({ name }) => [`${name} -> dns:53`, `${name} -> dns:53/UDP`]);
  const metricsIngress = APPS.flatMap((app) =>
    [8079, 8080, 9090].map((port) => `prometheus -> ${app}:${port}`),
  );
  return { ingress: [...calls, ...metricsIngress], egress: [...calls, ...daprs, ...placement, ...names] };
}

/** The apps with a component. */
function usersOf(manifests: readonly Manifest[], type: string): string[] {
  const resources = manifests
    .filter(({ kind }) => kind === 'Component')
    .map((one) => componentSchema.parse(one));
  return [
    ...new Set(
      resources.filter(({ spec }) => String(spec['type']).startsWith(type)).flatMap(({ scopes }) => scopes),
    ),
  ];
}

const gatewayIngress = (callers: readonly string[]) =>
  callers.flatMap((caller) => [8080, 50051].map((port) => `${caller} -> gateway:${port}`));

/** The connections that an overlay adds. */
const ADDED: Record<
  string,
  (manifests: readonly Manifest[], all: readonly string[]) => { ingress: string[]; egress: string[] }
> = {
  base: (_manifests, all) => ({ ingress: gatewayIngress(all), egress: [] }),
  'overlays/local': (manifests, all) => {
    const stores = [
      ...usersOf(manifests, 'state.').map((app) => `${app} -> postgres:5432`),
      ...APPS.flatMap((app) => [`${app} -> redis:6379`, `${app} -> zipkin:9411`]),
      ...usersOf(manifests, 'bindings.smtp').map((app) => `${app} -> mail-catcher:1025`),
    ];
    return { ingress: [...gatewayIngress(all), ...stores], egress: stores };
  },
  'overlays/production': (manifests) => ({
    ingress: gatewayIngress(['edge']),
    egress: [
      ...usersOf(manifests, 'state.').map((app) => `${app} -> stores:5432`),
      ...APPS.flatMap((app) => [`${app} -> stores:6379`, `${app} -> stores:26379`]),
      ...APPS.flatMap((app) => [`${app} -> prometheus:9411`, `${app} -> zipkin-outside:9411`]),
      ...usersOf(manifests, 'bindings.smtp').map((app) => `${app} -> stores:587`),
    ],
  }),
};

/** The unneeded connections that are allowed, and the needed ones that are not. */
function differencesOf(folder: string, manifests: readonly Manifest[]): string[] {
  const pods = [
    ...workloadsIn(manifests).map(({ name, labels }): Endpoint => ({ name, labels })),
    UNKNOWN_POD,
  ];
  const allowed = connections(manifests, pods, others);
  const common = base(pods);
  const add = ADDED[folder];
  if (!add) throw new Error(`no expected connections for ${folder}`);
  const allApps = [...pods, ...others].map(({ name }) => name);
  const added = add(manifests, allApps);
  return (['ingress', 'egress'] as const).flatMap((direction) => {
    const needed = new Set([...common[direction], ...added[direction]]);
    return [
      ...[...allowed[direction]]
        .filter((one) => !needed.has(one))
        .map((one) => `too much ${direction}: ${one}`),
      ...[...needed]
        .filter((one) => !allowed[direction].has(one))
        .map((one) => `too little ${direction}: ${one}`),
    ];
  });
}

it.each(rendered)(
  'When policies of $folder are read, then both ends allow exactly the needed connections',
  ({ folder, manifests }) => {
    expect(differencesOf(folder, manifests)).toEqual([]);
  },
);

describe('a wrong policy', () => {
  const { manifests } = rendered.find(({ folder }) => folder === 'overlays/local')!;
  const without = (name: string) =>
    manifests.filter((one) => one.kind !== 'NetworkPolicy' || one.metadata.name !== name);
  const policy = (name: string, spec: object): Manifest => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name },
    spec,
  });
  const pods = (name: string) => ({ matchLabels: { 'app.kubernetes.io/name': name } });

  it.each<[what: string, manifests: readonly Manifest[], faults: string[]]>([
    ['nothing denies the rest', without('default-deny'), ['too much ingress: orders -> stranger:1']],
    [
      'that of payments is missing',
      without('payments'),
      ['too little egress: payments -> orders:50002', 'too little ingress: gateway -> payments:50002'],
    ],
    [
      'the one to the databases is missing',
      without('to-postgres'),
      ['too little egress: orders -> postgres:5432'],
    ],
    [
      'that of the databases is missing',
      without('postgres'),
      ['too little ingress: orders -> postgres:5432'],
    ],
    [
      'one opens an app to all pods here',
      [
        ...manifests,
        policy('x', {
          podSelector: pods('orders'),
          policyTypes: ['Ingress'],
          ingress: [{ from: [{ podSelector: {} }] }],
        }),
      ],
      ['too much ingress: stranger -> orders:1', 'too much ingress: users -> orders:50002'],
    ],
    [
      'one opens an app to its namesakes elsewhere',
      [
        ...manifests,
        policy('x', {
          podSelector: pods('users'),
          policyTypes: ['Ingress'],
          ingress: [
            { from: [{ namespaceSelector: {}, podSelector: pods('orders') }], ports: [{ port: 50002 }] },
          ],
        }),
      ],
      ['too much ingress: twin -> users:50002'],
    ],
    [
      'one has no peers',
      [
        ...manifests,
        policy('x', {
          podSelector: pods('history'),
          policyTypes: ['Egress'],
          egress: [{ ports: [{ port: 5432 }] }],
        }),
      ],
      ['too much egress: history -> world:5432', 'too much egress: history -> stranger:5432'],
    ],
    [
      'the gateway has a database',
      [
        ...manifests,
        policy('x', {
          podSelector: pods('gateway'),
          policyTypes: ['Egress'],
          egress: [{ to: [{ podSelector: pods('postgres') }] }],
        }),
      ],
      ['too much egress: gateway -> postgres:5432'],
    ],
  ])('When %s, then the comparison finds it', (_what, changed, found) => {
    expect(differencesOf('overlays/local', changed)).toEqual(expect.arrayContaining(found));
  });
});
