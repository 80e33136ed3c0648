import type { Access } from '../../services/access.ts';

/** Where sidecars call each other: https://docs.dapr.io/reference/arguments-annotations-overview/ */
const SIDECAR_PORT = 50002;

/** Dapr's placement service in its control plane. */
const PLACEMENT_PORT = 50005;
const PLACEMENT: Peer = {
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'dapr-system' } },
  podSelector: { matchLabels: { app: 'dapr-placement-server' } },
};

/** https://kubernetes.io/docs/concepts/services-networking/network-policies/ */
export interface NetworkPolicy {
  apiVersion: 'networking.k8s.io/v1';
  kind: 'NetworkPolicy';
  metadata: { name: string };
  spec: {
    podSelector: Selector;
    policyTypes: ['Ingress', 'Egress'];
    ingress: { from: Peer[]; ports: Port[] }[];
    egress: { to: Peer[]; ports: Port[] }[];
  };
}
interface Selector {
  matchLabels: Record<string, string>;
}
interface Peer {
  namespaceSelector?: Selector;
  podSelector: Selector;
}
interface Port {
  port: number;
}

/** The pods whose sidecars call an app, and the pods that it calls. base/network.yaml denies everything else. */
export function networkPolicyOf(table: readonly Access[], app: string): NetworkPolicy {
  const own = table.find((one) => one.app === app);
  const hasWorkflows = own?.apis.includes('workflows') ?? false;
  // A workflow that runs in one replica is called by the others.
  const replicas = hasWorkflows ? [app] : [];
  const callers = [
    ...table.filter(({ calls }) => calls.some(({ service }) => service === app)).map((one) => one.app),
    ...replicas,
  ];
  const called = [...(own?.calls.map(({ service }) => service) ?? []), ...replicas];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: app },
    spec: {
      podSelector: podsOf(app),
      policyTypes: ['Ingress', 'Egress'],
      // An empty list of peers would mean everybody.
      ingress: callers.length === 0 ? [] : [{ from: peers(callers), ports: [{ port: SIDECAR_PORT }] }],
      egress: [
        ...(called.length === 0 ? [] : [{ to: peers(called), ports: [{ port: SIDECAR_PORT }] }]),
        ...(hasWorkflows ? [{ to: [PLACEMENT], ports: [{ port: PLACEMENT_PORT }] }] : []),
      ],
    },
  };
}

const peers = (apps: readonly string[]): Peer[] =>
  [...new Set(apps)].toSorted().map((app) => ({ podSelector: podsOf(app) }));

const podsOf = (app: string): Selector => ({ matchLabels: { 'app.kubernetes.io/name': app } });
