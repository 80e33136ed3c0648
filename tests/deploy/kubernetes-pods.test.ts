import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { parseManifests, renderAll, type Manifest } from '../support/manifests.ts';
import { podViolations } from '../support/pod-rules.ts';
import { plainTextSecrets, secretsReferencedIn } from '../support/secrets.ts';
import { servicesIn, workloadsIn, type Workload } from '../support/workloads.ts';

/** The rules for all pods: least privileges, resource limits, exact images, time to stop, and no plain-text secrets. */

// make-secrets starts about a hundred processes.
vi.setConfig({ testTimeout: 60_000 });

const rendered = await renderAll();
/** Prometheus finds pods by the API of Kubernetes. */
const ACCEPTED = new Set(['prometheus: has a token of its service account']);
const overlays = rendered.filter(({ folder }) => folder !== 'base');
const { manifests: local } = rendered.find(({ folder }) => folder === 'overlays/local')!;

describe('the pods', () => {
  it.each(overlays)('When those of $folder are read, then they follow all rules', ({ manifests }) => {
    const violations = workloadsIn(manifests).flatMap(podViolations);
    expect(violations.filter((one) => !ACCEPTED.has(one))).toEqual([]);
  });

  type Change = (one: Workload) => void;
  const annotate =
    (name: string, value: string): Change =>
    ({ annotations }) =>
      (annotations[`dapr.io/${name}`] = value);
  const secure =
    (context: Workload['containers'][number]['securityContext']): Change =>
    ({ containers }) =>
      Object.assign(containers[0]!.securityContext, context);

  it.each<[what: string, change: Change, violation: string]>([
    ['is privileged', secure({ privileged: true }), 'app is privileged'],
    ['may get privileges', secure({ allowPrivilegeEscalation: true }), 'app may get more privileges'],
    ['writes to its root', secure({ readOnlyRootFilesystem: false }), 'app may write to its root'],
    ['may be root', secure({ runAsNonRoot: false }), 'app may run as root'],
    ['is root', secure({ runAsUser: 0 }), 'app runs as root'],
    ['drops one capability', secure({ capabilities: { drop: ['CHOWN'] } }), 'app keeps capabilities'],
    [
      'adds a capability',
      secure({ capabilities: { drop: ['ALL'], add: ['CHOWN'] } }),
      'app keeps capabilities',
    ],
    [
      'has all system calls',
      secure({ seccompProfile: { type: 'Unconfined' } }),
      'app has no seccomp profile',
    ],
    [
      'has no pod profile',
      ({ pod }) => delete pod.securityContext.seccompProfile,
      'app has no seccomp profile',
    ],
    [
      'has a token',
      ({ pod }) => delete pod.automountServiceAccountToken,
      'has a token of its service account',
    ],
    ['is on its host', ({ pod }) => (pod.hostNetwork = true), 'shares a namespace of its host'],
    [
      'has a host folder',
      ({ pod }) => pod.volumes.push({ name: 'v', hostPath: {} }),
      'mounts a folder of its host: v',
    ],
    [
      'has a volume',
      ({ pod }) => pod.volumes.push({ name: 'v', emptyDir: {} }),
      'has a volume without a limit: v',
    ],
    [
      'has no limits',
      ({ containers }) => delete containers[0]!.resources.limits,
      'app has no request or no limit of cpu',
    ],
    [
      'requests too much',
      ({ containers }) => (containers[0]!.resources.requests!.memory = '1Gi'),
      'app requests more memory than its limit',
    ],
    [
      'has no tag',
      ({ containers }) => (containers[0]!.image = 'registry:5000/orders'),
      'app has an image without an exact tag: registry:5000/orders',
    ],
    [
      'has the tag latest',
      ({ containers }) => (containers[0]!.image = 'orders:latest'),
      'app has an image without an exact tag: orders:latest',
    ],
    [
      'has a large sidecar',
      annotate('sidecar-memory-limit', ''),
      'the sidecar has no request or no limit of memory',
    ],
    [
      'has a sidecar that never collects',
      annotate('env', 'GOMEMLIMIT=192MiB'),
      'GOMEMLIMIT of the sidecar is not below its limit of memory',
    ],
    [
      'has a secret store',
      annotate('disable-builtin-k8s-secret-store', 'false'),
      'the sidecar has a secret store',
    ],
    [
      'is killed',
      ({ pod }) => (pod.terminationGracePeriodSeconds = 65),
      'needs 65 s to stop, but is killed earlier',
    ],
    [
      'is killed late',
      annotate('graceful-shutdown-seconds', '21'),
      'needs 75 s to stop, but is killed earlier',
    ],
    [
      'has a sidecar that stays too long',
      annotate('block-shutdown-duration', '55s'),
      'the sidecar still accepts calls when its service stops',
    ],
    [
      'has a sidecar that leaves too soon',
      annotate('block-shutdown-duration', '49s'),
      'the sidecar stops while its callers still know the pod',
    ],
  ])('When one %s, then the check finds it', (_what, change, violation) => {
    const orders = workloadsIn(local).find(({ name }) => name === 'orders')!;
    change(orders);
    expect(podViolations(orders)).toContain(`orders: ${violation}`);
  });

  it('When an image has a digest, or a registry with a port, then it is exact', () => {
    const [orders] = workloadsIn(local);
    for (const image of [
      `a/b@sha256:${'0'.repeat(64)}`,
      'registry:5000/a/b:1.2',
      `a:1@sha256:${'0'.repeat(64)}`,
    ]) {
      orders!.containers[0]!.image = image;
      expect(podViolations(orders!)).toEqual([]);
    }
  });
});

describe('secrets', () => {
  it.each(rendered)('When $folder is read, then it has no value of a secret', ({ manifests }) => {
    expect(plainTextSecrets(manifests)).toEqual([]);
  });

  it.each<[what: string, manifest: object, found: string]>([
    ['a Secret', { kind: 'Secret' }, 'Secret x is a secret'],
    [
      'a token of a variable',
      { kind: 'Deployment', spec: { env: [{ name: 'DAPR_API_TOKEN', value: 'abc' }] } },
      'Deployment x has the value of DAPR_API_TOKEN',
    ],
    [
      'a password of a component',
      { kind: 'Component', spec: { metadata: [{ name: 'redisPassword', value: 'abc' }] } },
      'Component x has the value of redisPassword',
    ],
    [
      'a connection string',
      { kind: 'Component', spec: { metadata: [{ name: 'connectionString', value: 'host=a' }] } },
      'Component x has the value of connectionString',
    ],
    [
      'a URL with a password',
      { kind: 'Deployment', spec: { env: [{ name: 'REDIS_URL', value: 'redis://:abc@redis:6379' }] } },
      'Deployment x has the value of REDIS_URL',
    ],
  ])('When there is %s, then the check finds it', (_what, manifest, found) => {
    expect(
      plainTextSecrets([{ apiVersion: 'v1', metadata: { name: 'x' }, ...manifest } as Manifest]),
    ).toEqual([found]);
  });

  /** The secrets that make-secrets passes to kubectl, as `name:key`. */
  function createdSecrets(): Manifest[] {
    const folder = mkdtempSync(join(tmpdir(), 'sidecart-secrets-'));
    try {
      const made = join(folder, 'made.yaml');
      const kubectl = join(folder, 'kubectl');
      // This kubectl knows the namespace, has no secrets, and records the created ones.
      writeFileSync(
        kubectl,
        `#!/bin/sh\ncase "$*" in\n"get namespace"*) ;;\n*"get secret"*) exit 1 ;;\n*"create -f -") { cat; echo ---; } >>'${made}' ;;\nesac\n`,
      );
      chmodSync(kubectl, 0o755);
      const { status, stderr } = spawnSync('deploy/kubernetes/make-secrets', {
        env: { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}` },
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(stderr);
      return parseManifests(readFileSync(made, 'utf8').replace(/---\n$/, ''));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  const dataOf = (secret: Manifest) => z.record(z.string(), z.string()).parse(secret['stringData']);

  it('When the local overlay references secrets, then make-secrets creates them', () => {
    const made = createdSecrets().flatMap((one) =>
      Object.keys(dataOf(one)).map((key) => `${one.metadata.name}:${key}`),
    );
    const named = secretsReferencedIn(local);
    expect([...named].filter((one) => !made.includes(one))).toEqual([]);
    expect(made.filter((one) => !named.has(one))).toEqual([]);
  });

  it('When they are created twice, then no value is the same', () => {
    const values = (secrets: Manifest[]) => secrets.flatMap((one) => Object.values(dataOf(one)));
    const random = (all: string[]) => all.filter((value) => value.length >= 32);
    const [first, second] = [random(values(createdSecrets())), random(values(createdSecrets()))];
    expect(first.length).toBeGreaterThan(20);
    expect(first.filter((value) => second.includes(value))).toEqual([]);
  });

  it('When services share a namespace, then each references only its own tokens and database', () => {
    for (const { name, annotations, containers } of servicesIn(local)) {
      const own = secretsReferencedIn([{ annotations, containers } as unknown as Manifest]);
      const shared = new Set(['redis:url', 'admin:email', 'admin:password']);
      expect([...own].filter((one) => !one.startsWith(`${name}-`) && !shared.has(one))).toEqual([]);
    }
  });
});
