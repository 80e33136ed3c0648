import { z } from 'zod';
import type { Manifest } from './manifests.ts';

/**
 * The connections that the network policies of a namespace allow:
 * https://kubernetes.io/docs/concepts/services-networking/network-policies/
 */

const labels = z.record(z.string(), z.string());
const selector = z.strictObject({
  matchLabels: labels.default({}),
  matchExpressions: z
    .array(z.strictObject({ key: z.string(), operator: z.literal('In'), values: z.array(z.string()) }))
    .default([]),
});
const peer = z.strictObject({
  podSelector: selector.optional(),
  namespaceSelector: selector.optional(),
  ipBlock: z.strictObject({ cidr: z.string() }).optional(),
});
const port = z.strictObject({ port: z.number(), protocol: z.enum(['TCP', 'UDP']).default('TCP') });
const rule = z.strictObject({
  from: z.array(peer).optional(),
  to: z.array(peer).optional(),
  ports: z.array(port).optional(),
});
const policy = z.object({
  spec: z.strictObject({
    podSelector: selector,
    policyTypes: z.array(z.enum(['Ingress', 'Egress'])),
    ingress: z.array(rule).default([]),
    egress: z.array(rule).default([]),
  }),
});

/** A pod, here or in another namespace, or an address outside the cluster. */
export interface Endpoint {
  name: string;
  labels: Record<string, string>;
  /** Undefined for the namespace of the policies. */
  namespace?: string;
  /** Such as `10.20.0.0/16`, for an address outside the cluster. */
  network?: string;
}

type Selector = z.infer<typeof selector>;

const NAMESPACE = 'kubernetes.io/metadata.name';

function selects({ matchLabels, matchExpressions }: Selector, of: Record<string, string>): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => of[key] === value) &&
    matchExpressions.every(({ key, values }) => values.includes(of[key] ?? ''))
  );
}

function matchesPeer(
  { podSelector, namespaceSelector, ipBlock }: z.infer<typeof peer>,
  end: Endpoint,
): boolean {
  if (ipBlock || end.network !== undefined) return ipBlock !== undefined && ipBlock.cidr === end.network;
  const inNamespace = namespaceSelector
    ? end.namespace !== undefined && selects(namespaceSelector, { [NAMESPACE]: end.namespace })
    : end.namespace === undefined;
  return inNamespace && (podSelector === undefined || selects(podSelector, end.labels));
}

/** Every connection that one side allows, such as `orders -> users:50002`, among these pods and other endpoints. */
export function connections(
  manifests: readonly Manifest[],
  pods: readonly Endpoint[],
  others: readonly Endpoint[],
): { ingress: Set<string>; egress: Set<string> } {
  const policies = manifests
    .filter(({ kind }) => kind === 'NetworkPolicy')
    .map((one) => policy.parse(one).spec);
  const rules = policies.flatMap(({ ingress, egress }) => [...ingress, ...egress]);
  const named = rules.flatMap(({ ports = [] }) => ports.map((one) => `${one.port}/${one.protocol}`));
  const ports = [...new Set([...named, OTHER_PORT])];

  const allowed = (direction: 'Ingress' | 'Egress', pod: Endpoint, other: Endpoint, to: string): boolean => {
    const own = policies.filter(
      ({ podSelector, policyTypes }) => policyTypes.includes(direction) && selects(podSelector, pod.labels),
    );
    // Without a policy, a pod accepts and opens every connection.
    if (own.length === 0) return true;
    return own
      .flatMap(({ ingress, egress }) => (direction === 'Ingress' ? ingress : egress))
      .some(
        ({ from, to: target, ports: open }) =>
          (open === undefined || open.some((one) => `${one.port}/${one.protocol}` === to)) &&
          matchesAny(direction === 'Ingress' ? from : target, other),
      );
  };
  const all = (direction: 'Ingress' | 'Egress') =>
    pods.flatMap((pod) =>
      [...pods, ...others].flatMap((other) =>
        ports
          .filter((to) => allowed(direction, pod, other, to))
          .map((to) =>
            direction === 'Ingress' ? formatConnection(other, pod, to) : formatConnection(pod, other, to),
          ),
      ),
    );
  return { ingress: new Set(all('Ingress')), egress: new Set(all('Egress')) };
}

/** Stands for every port that no policy names. */
const OTHER_PORT = '1/TCP';

/** A rule without peers matches every endpoint. */
const matchesAny = (peers: z.infer<typeof peer>[] | undefined, end: Endpoint) =>
  peers === undefined || peers.length === 0 || peers.some((one) => matchesPeer(one, end));

const formatConnection = (from: Endpoint, to: Endpoint, at: string) =>
  `${from.name} -> ${to.name}:${at.replace('/TCP', '')}`;
