import { DRAIN_TIMEOUT_MS } from '../../services/shared/http/listen.ts';
import { STOP_TIMEOUT_MS } from '../../services/shared/runtime/shutdown.ts';
import { quantity, type Container, type Workload } from './workloads.ts';

/** The sentences that describe how a workload violates the rules for all pods. */
export function podViolations(one: Workload): string[] {
  const { name, pod, containers, annotations } = one;
  const hasSidecar = annotations['dapr.io/enabled'] === 'true';
  const results = [
    pod.automountServiceAccountToken === false || 'has a token of its service account',
    pod.hostNetwork || pod.hostPID || pod.hostIPC ? 'shares a namespace of its host' : true,
    ...pod.volumes.map(({ name: volume, emptyDir, hostPath }) =>
      hostPath !== undefined
        ? `mounts a folder of its host: ${volume}`
        : emptyDir === undefined ||
          emptyDir.sizeLimit !== undefined ||
          `has a volume without a limit: ${volume}`,
    ),
    ...containers.flatMap((container) =>
      [...security(container, pod.securityContext), ...resources(container), ...image(container)].map(
        (result) => result === true || `${container.name} ${result}`,
      ),
    ),
    ...(hasSidecar ? [...sidecar(annotations), ...stop(one)] : []),
  ];
  return results.filter((result) => result !== true).map((violation) => `${name}: ${String(violation)}`);
}

/** True, or a description of the violation. */
type CheckResult = true | string;

/** https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and a read-only root file system. */
function security(
  { securityContext: own, ports }: Container,
  ofPod: Container['securityContext'],
): CheckResult[] {
  const { type } = own.seccompProfile ?? ofPod.seccompProfile ?? {};
  const { drop = [], add = [] } = own.capabilities ?? {};
  return [
    own.privileged !== true || 'is privileged',
    own.allowPrivilegeEscalation === false || 'may get more privileges',
    own.readOnlyRootFilesystem === true || 'may write to its root',
    (own.runAsNonRoot ?? ofPod.runAsNonRoot) === true || 'may run as root',
    (own.runAsUser ?? ofPod.runAsUser) !== 0 || 'runs as root',
    (drop.includes('ALL') && add.length === 0) || 'keeps capabilities',
    ['RuntimeDefault', 'Localhost'].includes(type ?? '') || 'has no seccomp profile',
    ports.every(({ hostPort }) => hostPort === undefined) || 'has a port of its host',
  ];
}

function resources({ resources: { requests = {}, limits = {} } }: Container): CheckResult[] {
  return (['cpu', 'memory'] as const).map((name) => {
    const [request, limit] = [requests[name], limits[name]];
    if (!request || !limit) return `has no request or no limit of ${name}`;
    return quantity(request) <= quantity(limit) || `requests more ${name} than its limit`;
  });
}

function image({ image: name }: Container): CheckResult[] {
  const [, tag, digest] =
    /^[^:@]+(?::\d+\/[^:@]+)?(?::([^:@]+))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(name) ?? [];
  return [
    digest !== undefined ||
      (tag !== undefined && tag !== 'latest') ||
      `has an image without an exact tag: ${name}`,
  ];
}

/** Dapr's injector configures the sidecar by annotations: https://docs.dapr.io/reference/arguments-annotations-overview/ */
function sidecar(annotations: Record<string, string>): CheckResult[] {
  const value = (name: string) => annotations[`dapr.io/${name}`] ?? '';
  const limited = (name: string): CheckResult => {
    const [request, limit] = [value(`sidecar-${name}-request`), value(`sidecar-${name}-limit`)];
    if (!request || !limit) return `the sidecar has no request or no limit of ${name}`;
    return quantity(request) <= quantity(limit) || `the sidecar requests more ${name} than its limit`;
  };
  const [, goLimit = ''] = /GOMEMLIMIT=(\d+[KMG]i)B/.exec(value('env')) ?? [];
  const memory = value('sidecar-memory-limit');
  return [
    limited('cpu'),
    limited('memory'),
    (goLimit && memory && quantity(goLimit) < quantity(memory)) ||
      'GOMEMLIMIT of the sidecar is not below its limit of memory',
    value('sidecar-seccomp-profile-type') === 'RuntimeDefault' || 'the sidecar has no seccomp profile',
    value('disable-builtin-k8s-secret-store') === 'true' || 'the sidecar has a secret store',
  ];
}

/** How long callers know a pod that was deleted: a sidecar keeps addresses for 20 s, and CoreDNS answers for 30 s by default. */
const KNOWN_SECONDS = 50;

/**
 * The order of a shutdown: callers stop finding the pod, its sidecar closes connections, and then its service stops. Clients
 * connect to the gateway directly, so the gateway needs its sidecar until they have disconnected.
 */
function stop({ name, pod, annotations }: Workload): CheckResult[] {
  const preStop = Math.max(...pod.containers.map(({ lifecycle }) => lifecycle.preStop?.sleep?.seconds ?? 0));
  const [, blocked = NaN] = /^(\d+)s$/.exec(annotations['dapr.io/block-shutdown-duration'] ?? '') ?? [];
  const graceful = Number(annotations['dapr.io/graceful-shutdown-seconds'] ?? NaN);
  const needed = Math.max(preStop + STOP_TIMEOUT_MS / 1000, Number(blocked) + graceful);
  return [
    ...(name === 'gateway'
      ? [
          Number(blocked) > preStop + DRAIN_TIMEOUT_MS / 1000 ||
            'the sidecar ends before clients have disconnected',
        ]
      : [
          Number(blocked) < preStop || 'the sidecar still accepts calls when its service stops',
          Number(blocked) >= KNOWN_SECONDS || 'the sidecar stops while its callers still know the pod',
        ]),
    needed < pod.terminationGracePeriodSeconds || `needs ${needed} s to stop, but is killed earlier`,
  ];
}
