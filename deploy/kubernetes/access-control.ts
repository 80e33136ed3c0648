import type { Access, Call, SidecarApi } from '../../services/access.ts';

/**
 * The table of services/access.ts as the spec of a Dapr Configuration. What daprd 1.18.2 makes of it, and why the names of
 * operations look as they do, is in services/decisions/0071-access-control-as-daprd-reads-it.md.
 */

/** https://docs.dapr.io/operations/configuration/invoke-allowlist/ */
export interface AccessControl {
  defaultAction: 'deny';
  trustDomain: string;
  policies: {
    appId: string;
    defaultAction: 'deny';
    trustDomain: string;
    namespace: string;
    operations: Operation[];
  }[];
}

interface Operation {
  name: string;
  httpVerb: string[];
  action: 'allow';
}

/** Who may call an app, with which verbs and paths. Callers prove who they are by mTLS; without it all are denied. */
export function accessControlOf(
  table: readonly Access[],
  app: string,
  { namespace, trustDomain }: { namespace: string; trustDomain: string },
): AccessControl {
  const callers = table
    .map((one) => ({ appId: one.app, calls: one.calls.filter(({ service }) => service === app) }))
    .filter(({ calls }) => calls.length > 0);
  const ofCallee = callers.flatMap(({ calls }) => calls).map(({ path }) => unnamed(path));
  return {
    defaultAction: 'deny',
    trustDomain,
    policies: callers.map(({ appId, calls }) => ({
      appId,
      defaultAction: 'deny',
      trustDomain,
      namespace,
      operations: operationsOf(calls, ofCallee),
    })),
  };
}

/** One for each name, because daprd ignores a second one. */
function operationsOf(calls: readonly Call[], ofCallee: readonly string[]): Operation[] {
  const own = calls.map(({ method, path }) => ({ method, path: unnamed(path) }));
  const paths = new Set(own.map(({ path }) => path));
  const verbs = new Map<string, Set<string>>();
  for (const { method, path } of own) {
    const name = operationNameOf(path, paths, ofCallee);
    verbs.set(name, (verbs.get(name) ?? new Set()).add(method));
  }
  return [...verbs]
    .toSorted(([one], [other]) => inOrder(one, other))
    .map(([name, methods]) => ({ name, httpVerb: [...methods].toSorted(), action: 'allow' }));
}

const VARIABLE = ':';
const unnamed = (path: string) => path.replaceAll(/:\w+/g, VARIABLE);

// The operation that matches a path, and of the other paths of the callee none that is not called:
// - `*` matches a segment only at the end. Further to the front `**` matches exactly one.
// - A name without a wildcard at its end also matches all longer paths. So a path that is the start of another one gets `/*`,
//   which matches the path itself, too.
// - For the same reason `/users/*` would match `/users`. `/users/**/*` does not.
function operationNameOf(path: string, paths: ReadonlySet<string>, ofCallee: readonly string[]): string {
  const parent = path.slice(0, path.lastIndexOf('/'));
  if (path === `${parent}/${VARIABLE}`)
    return paths.has(parent) ? `${inFront(parent)}/*` : `${inFront(parent)}/**/*`;
  const isStart = ofCallee.some((other) => other.startsWith(`${path}/`));
  return isStart ? `${inFront(path)}/*` : inFront(path);
}

function inFront(path: string): string {
  return path.replaceAll(VARIABLE, '**');
}

/** daprd takes the first name that matches, segment by segment, and never goes back: words, then `*`, then `**`. */
function inOrder(one: string, other: string): number {
  const sortable = (name: string) => name.replaceAll('*', '~');
  return sortable(one) < sortable(other) ? -1 : 1;
}

/** https://docs.dapr.io/operations/configuration/api-allowlist/ */
export interface ApiAllowRule {
  name: string;
  version: string;
  protocol: 'http' | 'grpc';
}

/** Events that are published together go to the alpha version. */
const RULES: Record<SidecarApi, readonly Pick<ApiAllowRule, 'name' | 'version'>[]> = {
  invoke: [{ name: 'invoke', version: 'v1' }],
  publish: [
    { name: 'publish', version: 'v1' },
    { name: 'publish', version: 'v1alpha1' },
  ],
  state: [{ name: 'state', version: 'v1' }],
  jobs: [{ name: 'jobs', version: 'v1' }],
  bindings: [{ name: 'bindings', version: 'v1' }],
  // daprd has no rule for the gRPC service of the workflow SDKs, and always offers it. The SDK reads the metadata as a probe.
  workflows: [{ name: 'metadata', version: 'v1' }],
  configuration: [{ name: 'configuration', version: 'v1' }],
};

/**
 * daprd applies no list to a protocol for which the list has no rule. It answers health checks always, so that their rule
 * adds nothing. gRPC, which only workflows use, has no such API; to unlock can do nothing, because there is no component for locks.
 */
const NEVER_EMPTY: readonly ApiAllowRule[] = [
  { name: 'healthz', version: 'v1', protocol: 'http' },
  { name: 'unlock', version: 'v1alpha1', protocol: 'grpc' },
];

/** The APIs that the sidecar of an app offers to it. */
export function apiAllowListOf(table: readonly Access[], app: string): ApiAllowRule[] {
  const apis = table.find((one) => one.app === app)?.apis ?? [];
  return [
    ...apis.flatMap((api) => RULES[api]).map((rule): ApiAllowRule => ({ ...rule, protocol: 'http' })),
    ...NEVER_EMPTY,
  ];
}
