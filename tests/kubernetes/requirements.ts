import { run, NAMESPACE, type ProgramResult } from './cluster.ts';

/** The requirements of a cluster. */

const DAPR = 'dapr-system';
/** The tested version. */
const MIN_DAPR = [1, 18];
const INSTALL =
  'helm upgrade --install dapr dapr/dapr --version 1.18.2 -n dapr-system --create-namespace --wait ' +
  '--set dapr_sidecar_injector.sidecarDropALLCapabilities=true --set dapr_operator.watchInterval=30s';

/** The permissions that the account of KUBECONFIG needs: verb, resource and scope. */
const REQUIRED_PERMISSIONS: readonly [verb: string, resource: string, scope: 'cluster' | 'namespace'][] = [
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

const kubectl = (...args: string[]): Promise<ProgramResult> =>
  run('kubectl', ['--request-timeout=10s', ...args], { timeoutMs: 20_000 });

/**
 * Finds unmet requirements, as texts with instructions. It changes nothing.
 *
 * @throws Error without kubectl
 */
export async function findProblems(): Promise<string[]> {
  const version = await kubectl('version', '--output', 'json').catch(() => {
    throw new Error('kubectl is missing. Install it: https://kubernetes.io/docs/tasks/tools/');
  });
  if (version.status !== 0)
    return [
      `No cluster is available: ${firstLine(version.stderr)}. Set KUBECONFIG, or start one, for example with: kind create cluster`,
    ];
  const result = await Promise.all([
    daprProblems(),
    permissionProblems(),
    namespaceProblems(),
    storageProblems(),
  ]);
  return result.flat();
}

interface Deployment {
  spec: {
    template: {
      spec: { containers: { image: string; env?: { name: string; value?: string }[] }[] };
    };
  };
}

async function daprProblems(): Promise<string[]> {
  const result = await kubectl('-n', DAPR, 'get', 'deployment', 'dapr-sidecar-injector', '-o', 'json');
  if (result.status !== 0) return [`Dapr is not in this cluster. Install it: ${INSTALL}`];
  const [container] = (JSON.parse(result.stdout) as Deployment).spec.template.spec.containers;
  const tag = container?.image.split(':').at(-1) ?? '';
  const [major = 0, minor = 0] = tag.split('.').map(Number);
  const [minMajor = 0, minMinor = 0] = MIN_DAPR;
  const isTooOld = major < minMajor || (major === minMajor && minor < minMinor);
  const dropsCapabilities = container?.env?.some(
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
    ...(isTooOld ? [`Dapr ${tag} is too old: the manifests need 1.18. Upgrade it: ${INSTALL}`] : []),
    ...(dropsCapabilities === true
      ? []
      : [
          `Dapr's injector does not drop the capabilities of sidecars, which this namespace requires. Set it: ${INSTALL}`,
        ]),
    ...(mtls.stdout === 'true' ? [] : [`mTLS is off, so callers have no identity. Enable it: ${INSTALL}`]),
  ];
}

async function permissionProblems(): Promise<string[]> {
  const problems = await Promise.all(
    REQUIRED_PERMISSIONS.map(async ([verb, resource, scope]) => {
      const scopeArgs = scope === 'namespace' ? ['-n', NAMESPACE] : [];
      const { stdout } = await kubectl('auth', 'can-i', verb, resource, ...scopeArgs);
      return stdout.trim() === 'yes' ? [] : [`${verb} ${resource}`];
    }),
  );
  const denied = problems.flat();
  return denied.length === 0
    ? []
    : [
        `This account lacks permissions: ${denied.join(', ')}. Use another one, such as the administrator of the cluster.`,
      ];
}

async function namespaceProblems(): Promise<string[]> {
  const { status } = await kubectl('get', 'namespace', NAMESPACE);
  return status === 0
    ? [
        `The namespace ${NAMESPACE} exists. The test creates and deletes it. Delete it first: kubectl delete namespace ${NAMESPACE}`,
      ]
    : [];
}

async function storageProblems(): Promise<string[]> {
  const { stdout } = await kubectl('get', 'storageclasses', '-o', 'json');
  return stdout.includes('"storageclass.kubernetes.io/is-default-class": "true"')
    ? []
    : [
        'There is no default StorageClass, so PostgreSQL and Redis would get no volume. Mark one as the default.',
      ];
}

const firstLine = (text: string) => text.trim().split('\n').at(-1) ?? '';
