import { z } from 'zod';
import type { Manifest } from './manifests.ts';

/** The pods in manifests, with the fields that tests read. */

const reference = z.object({ name: z.string(), key: z.string() });
const env = z.object({
  name: z.string(),
  value: z.string().optional(),
  valueFrom: z.looseObject({ secretKeyRef: reference.optional() }).optional(),
});
const quantities = z.object({ cpu: z.string(), memory: z.string() }).partial();

const container = z.looseObject({
  name: z.string(),
  image: z.string(),
  env: z.array(env).default([]),
  envFrom: z.array(z.unknown()).default([]),
  resources: z.object({ requests: quantities, limits: quantities }).partial().default({}),
  securityContext: z
    .looseObject({
      privileged: z.boolean(),
      allowPrivilegeEscalation: z.boolean(),
      readOnlyRootFilesystem: z.boolean(),
      runAsNonRoot: z.boolean(),
      runAsUser: z.number(),
      capabilities: z.object({ add: z.array(z.string()), drop: z.array(z.string()) }).partial(),
      seccompProfile: z.looseObject({ type: z.string() }),
    })
    .partial()
    .default({}),
  lifecycle: z
    .looseObject({
      preStop: z.looseObject({ sleep: z.object({ seconds: z.number() }).optional() }).optional(),
    })
    .default({}),
  ports: z.array(z.looseObject({ containerPort: z.number(), hostPort: z.number().optional() })).default([]),
});
export type Container = z.infer<typeof container>;

const secretItems = z.looseObject({ name: z.string(), items: z.array(z.looseObject({ key: z.string() })) });
const volume = z.looseObject({
  name: z.string(),
  emptyDir: z.looseObject({ sizeLimit: z.string().optional() }).optional(),
  secret: z.unknown().optional(),
  hostPath: z.unknown().optional(),
  projected: z
    .looseObject({ sources: z.array(z.looseObject({ secret: secretItems.optional() })) })
    .optional(),
});

const pod = z.object({
  metadata: z.looseObject({
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.looseObject({
    automountServiceAccountToken: z.boolean().optional(),
    serviceAccountName: z.string().optional(),
    terminationGracePeriodSeconds: z.number().default(30),
    securityContext: container.shape.securityContext,
    hostNetwork: z.boolean().default(false),
    hostPID: z.boolean().default(false),
    hostIPC: z.boolean().default(false),
    initContainers: z.array(container).default([]),
    containers: z.array(container),
    volumes: z.array(volume).default([]),
  }),
});

/** A Deployment or a StatefulSet, with its pod template. */
export interface Workload {
  name: string;
  labels: Record<string, string>;
  /** Of the pod. */
  annotations: Record<string, string>;
  pod: z.infer<typeof pod>['spec'];
  containers: Container[];
}

export function workloadsIn(manifests: readonly Manifest[]): Workload[] {
  return manifests
    .filter((one) => (one as { spec?: { template?: unknown } }).spec?.template !== undefined)
    .map((one) => {
      const { metadata, spec } = pod.parse((one['spec'] as { template: unknown }).template);
      return {
        name: one.metadata.name,
        labels: metadata.labels,
        annotations: metadata.annotations,
        pod: spec,
        containers: [...spec.initContainers, ...spec.containers],
      };
    });
}

/** The services: the workloads with a sidecar. */
export const servicesIn = (manifests: readonly Manifest[]): Workload[] =>
  workloadsIn(manifests).filter(({ annotations }) => annotations['dapr.io/enabled'] === 'true');

const UNITS: Record<string, number> = {
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

/** `192Mi` as a number of bytes, `50m` as a number of cores. @throws Error if it is not a quantity of Kubernetes */
export function quantity(text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)([a-zA-Z]*)$/.exec(text) ?? [];
  const factor = UNITS[unit];
  if (digits === undefined || factor === undefined) throw new Error(`${text} is not a quantity`);
  return Number(digits) * factor;
}
