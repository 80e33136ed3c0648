import { run, NAMESPACE, type Ran } from './cluster.ts';

/** What a cluster must have before anything is applied. */

const DAPR = 'dapr-system';
/** The version that the manifests were tried with. */
const LEAST_DAPR = [1, 18];
const INSTALL =
  'helm upgrade --install dapr dapr/dapr --version 1.18.2 -n dapr-system --create-namespace --wait ' +
  '--set dapr_sidecar_injector.sidecarDropALLCapabilities=true';

/** What the account of KUBECONFIG has to be allowed: verb, resource, and whether in the namespace. */
const RIGHTS: readonly [verb: string, resource: string, scope: 'cluster' | 'namespace'][] = [
  ['create', 'namespaces', 'cluster'],
  ['delete', 'namespaces', 'cluster'],
  ['create', 'deployments.apps', 'namespace'],
  ['create', 'secrets', 'namespace'],
  ['create', 'networkpolicies.networking.k8s.io', 'namespace'],
  ['create', 'components.dapr.io', 'namespace'],
  ['create', 'pods/exec', 'namespace'],
  ['create', 'pods/portforward', 'namespace'],
  ['create', 'pods/eviction', 'namespace'],
];

const kubectl = (...args: string[]): Promise<Ran> =>
  run('kubectl', ['--request-timeout=10s', ...args], { deadlineMs: 20_000 });

/**
 * What is missing, and what to do about it, a text for each; none where the test can begin. It changes nothing.
 *
 * @throws Error where there is no kubectl
 */
export async function missing(): Promise<string[]> {
  const version = await kubectl('version', '--output', 'json').catch(() => {
    throw new Error('kubectl is missing. Install it: https://kubernetes.io/docs/tasks/tools/');
  });
  if (version.status !== 0)
    return [
      `No cluster answers: ${firstLine(version.stderr)}. Set KUBECONFIG, or start one, such as: kind create cluster`,
    ];
  const found = await Promise.all([daprProblems(), rightProblems(), namespaceProblems(), storageProblems()]);
  return found.flat();
}

interface Deployment {
  spec: {
    template: {
      spec: { containers: { image: string; env?: { name: string; value?: string }[] }[] };
    };
  };
}

async function daprProblems(): Promise<string[]> {
  const found = await kubectl('-n', DAPR, 'get', 'deployment', 'dapr-sidecar-injector', '-o', 'json');
  if (found.status !== 0) return [`Dapr is not in this cluster. Install it: ${INSTALL}`];
  const [container] = (JSON.parse(found.stdout) as Deployment).spec.template.spec.containers;
  const tag = container?.image.split(':').at(-1) ?? '';
  const [major = 0, minor = 0] = tag.split('.').map(Number);
  const [leastMajor = 0, leastMinor = 0] = LEAST_DAPR;
  const isOld = major < leastMajor || (major === leastMajor && minor < leastMinor);
  const drops = container?.env?.some(
    ({ name, value }) => name === 'SIDECAR_DROP_ALL_CAPABILITIES' && value === 'true',
  );
  const mtls = await kubectl(
    '-n',
    DAPR,
    'get',
    'configuration',
    'daprsystem',
    '-o',
    'jsonpath={.spec.mtls.enabled}',
  );
  return [
    ...(isOld ? [`Dapr ${tag} is too old: the manifests were tried with 1.18. Upgrade it: ${INSTALL}`] : []),
    ...(drops === true
      ? []
      : [
          `Dapr's injector leaves capabilities to sidecars, which this namespace refuses. Set it: ${INSTALL}`,
        ]),
    ...(mtls.stdout === 'true'
      ? []
      : [`mTLS is off, so that no caller has an identity. Switch it on: ${INSTALL}`]),
  ];
}

async function rightProblems(): Promise<string[]> {
  const answers = await Promise.all(
    RIGHTS.map(async ([verb, resource, scope]) => {
      const where = scope === 'namespace' ? ['-n', NAMESPACE] : [];
      const { stdout } = await kubectl('auth', 'can-i', verb, resource, ...where);
      return stdout.trim() === 'yes' ? [] : [`${verb} ${resource}`];
    }),
  );
  const denied = answers.flat();
  return denied.length === 0
    ? []
    : [`This account may not: ${denied.join(', ')}. Use one that may, such as the cluster's administrator.`];
}

async function namespaceProblems(): Promise<string[]> {
  const { status } = await kubectl('get', 'namespace', NAMESPACE);
  return status === 0
    ? [
        `The namespace ${NAMESPACE} is there already. The test makes it and removes it: kubectl delete namespace ${NAMESPACE}`,
      ]
    : [];
}

async function storageProblems(): Promise<string[]> {
  const { stdout } = await kubectl('get', 'storageclasses', '-o', 'json');
  return stdout.includes('"storageclass.kubernetes.io/is-default-class": "true"')
    ? []
    : [
        'There is no default StorageClass, so that PostgreSQL and Redis would get no volume. Mark one as the default.',
      ];
}

const firstLine = (text: string) => text.trim().split('\n').at(-1) ?? '';
