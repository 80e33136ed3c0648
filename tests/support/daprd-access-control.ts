import type { AccessControl, ApiAllowRule } from '../../deploy/kubernetes/access-control.ts';

/** A model of access control and API allow lists in daprd 1.18.2: pkg/acl, pkg/config/acl_trie.go and pkg/api. */

interface Node {
  segment: string;
  verbs?: readonly string[];
  nodes: Node[];
}

/** Whether a caller in the same namespace and trust domain may call a path. */
export function mayCall(spec: AccessControl, caller: string, verb: string, path: string): boolean {
  const policy = spec.policies.find(({ appId }) => appId === caller);
  if (!policy) return false;
  const root: Node = { segment: '/', nodes: [] };
  for (const { name, httpVerb } of policy.operations) put(root, name.toLowerCase(), httpVerb);
  const verbs = verbsOf(root, path.toLowerCase());
  return verbs?.includes(verb) ?? false;
}

function put(root: Node, name: string, verbs: readonly string[]): void {
  let node = root;
  for (const segment of segmentsOf(name)) {
    const known = node.nodes.find((one) => one.segment === segment);
    const next = known ?? { segment, nodes: [] };
    if (!known) node.nodes.push(next);
    node = next;
  }
  node.verbs ??= verbs;
}

function verbsOf(root: Node, path: string): readonly string[] | undefined {
  const segments = segmentsOf(path);
  let node: Node | undefined = root;
  for (const [position, segment] of segments.entries()) {
    const isLast = position === segments.length - 1;
    node = subNode(node, segment, isLast);
    if (!node) return undefined;
    if (node.verbs && (isLast || node.segment !== '/*')) return node.verbs;
    if (isLast) return subNode(node, '/*', isLast)?.verbs;
  }
  return undefined;
}

function subNode({ nodes }: Node, segment: string, isLast: boolean): Node | undefined {
  return nodes.find((one) => {
    if (one.segment === segment || one.segment === '/**') return true;
    if (one.segment === '/*') return isLast;
    if (one.segment.includes('*')) throw new Error(`not modelled: ${one.segment}`);
    return false;
  });
}

const segmentsOf = (path: string): string[] =>
  path
    .split('/')
    .slice(1)
    .map((segment) => `/${segment}`);

/** Whether a sidecar serves an API, such as `v1/state`, over a protocol. */
export function isOffered(
  rules: readonly ApiAllowRule[],
  protocol: ApiAllowRule['protocol'],
  api: string,
): boolean {
  const ofProtocol = rules.filter((rule) => rule.protocol === protocol);
  if (ofProtocol.length === 0 || (protocol === 'http' && api === 'v1/healthz')) return true;
  return ofProtocol.some(({ version, name }) => `${version}/${name}` === api);
}
