import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { findOrBuildManifestTools } from '../support/manifest-tools.ts';
import { DAPR_RUNTIME_VERSION } from '../../deploy/local/programs/versions.ts';
import { writeSchemas } from '../support/manifest-schemas.ts';
import {
  kubeScoreFindings,
  FOLDERS,
  schemaErrors,
  parseManifests,
  render,
  type Finding,
} from '../support/manifests.ts';

/** Checks the manifests with Kustomize, kubeconform with the schemas of the API servers, and kube-score. */

// Each test runs one or two programs.
vi.setConfig({ testTimeout: 60_000 });

const tools = await findOrBuildManifestTools(() => {});
const rendered = new Map(FOLDERS.map((folder) => [folder, render(tools, folder)]));

const schemas = mkdtempSync(join(tmpdir(), 'sidecart-schemas-'));
afterAll(() => rmSync(schemas, { recursive: true }));
const sourceOf = (module: string) => tools.schemaSources.get(module)!;
writeSchemas(
  schemas,
  [...rendered.values()].flatMap(parseManifests).map(({ apiVersion }) => apiVersion),
  {
    kubernetes: sourceOf('k8s.io/kubernetes'),
    definitions: [
      join(sourceOf('github.com/dapr/dapr'), 'charts/dapr/crds'),
      join(sourceOf('sigs.k8s.io/gateway-api'), 'config/crd/standard'),
    ],
  },
);

/** Accepted findings of kube-score with their reasons. A finding that no longer occurs must be removed. */
const ACCEPTED: readonly { check: string; in: RegExp; objects: RegExp; because: string }[] = [
  {
    check: 'container-image-tag',
    in: /^base$/,
    objects: /^Deployment\//,
    because: 'an overlay gives each image its tag',
  },
  {
    check: 'container-image-pull-policy',
    in: /./,
    objects: /./,
    because: 'the tags are exact, and images that were built on a node have no registry',
  },
  {
    check: 'container-ephemeral-storage-request-and-limit',
    in: /./,
    objects: /./,
    because: 'root file systems are read-only, every emptyDir has a limit, and kubelets limit logs',
  },
  {
    check: 'horizontalpodautoscaler-replicas',
    in: /local/,
    objects: /./,
    because: 'one replica of each service fits on a small machine',
  },
  {
    check: 'deployment-replicas',
    in: /local|dapr-run|observability/,
    objects: /\/(zipkin|mail-catcher|prometheus)$/,
    because: 'they store their data in memory',
  },
  ...['statefulset-has-poddisruptionbudget', 'statefulset-has-host-podantiaffinity'].map((check) => ({
    check,
    in: /local|dapr-run/,
    objects: /\/(postgres|redis)$/,
    because: 'there is one of it',
  })),
  {
    check: 'pod-probes-identical',
    in: /local|dapr-run/,
    objects: /\/(postgres|redis|zipkin|mail-catcher)$/,
    because: 'they have no other sign of life, and the liveness probe is the slower one',
  },
  {
    check: 'container-security-context-user-group-id',
    in: /local|dapr-run/,
    objects: /\/(postgres|redis)$/,
    because: 'this user is the one of the image, and owns its files',
  },
  {
    check: 'pod-networkpolicy',
    in: /dapr-run/,
    objects: /./,
    because: 'this overlay is for development, in a namespace where nothing is closed',
  },
];

const isAccepted = (one: (typeof ACCEPTED)[number], { object, check }: Finding, folder: string) =>
  one.check === check && one.in.test(folder) && one.objects.test(object);

/** The findings of kube-score per folder. */
const findings = new Map([...rendered].map(([folder, text]) => [folder, kubeScoreFindings(tools, text)]));

/** The findings that are not accepted, as sentences. */
const unacceptedFindings = (folder: string, found: readonly Finding[]) =>
  found
    .filter((finding) => !ACCEPTED.some((one) => isAccepted(one, finding, folder)))
    .map(({ object, check, reason }) => `${object} ${check}: ${reason}`);

describe.each([...rendered])('%s', (folder, text) => {
  it('When kubeconform checks it, then it finds no schema errors', () => {
    expect(schemaErrors(tools, schemas, text)).toEqual([]);
  });

  it('When kube-score checks it, then it finds only accepted findings', () => {
    expect(unacceptedFindings(folder, findings.get(folder)!)).toEqual([]);
  });
});

it.each(ACCEPTED)('When $check is accepted, because $because, then kube-score still finds it', (one) => {
  const found = [...findings].flatMap(([folder, all]) =>
    all.filter((finding) => isAccepted(one, finding, folder)),
  );
  expect(found).not.toEqual([]);
});

it('When schemas of Dapr are read, then they have the version that is built here', () => {
  expect(sourceOf('github.com/dapr/dapr')).toMatch(new RegExp(`@v${DAPR_RUNTIME_VERSION}$`));
});

describe('an error', () => {
  const text = rendered.get('overlays/local')!;

  function broken(from: string | RegExp, to: string): string {
    const changed = text.replace(from, to);
    expect(changed).not.toBe(text);
    return changed;
  }

  it.each<[what: string, from: string | RegExp, to: string, message: RegExp]>([
    [
      'a field has a wrong name',
      'readinessProbe:',
      'readynessProbe:',
      /^Deployment .*'readynessProbe' not allowed/,
    ],
    [
      'a value has a wrong type',
      'containerPort: 8080',
      'containerPort: http',
      /^Deployment .*containerPort.*integer/,
    ],
    ['a field is missing', /containerPort: 8080\n\s+name/, 'name', /^Deployment .*missing.*'containerPort'/],
    [
      'metadata has a field of no object',
      /(kind: Component\nmetadata:\n)/,
      '$1  label: x\n',
      /^Component .*'label' not allowed/,
    ],
    [
      'a component has a field that Dapr does not know',
      '  type: state.postgresql',
      '  kind: state\n$&',
      /^Component statestore: .*'kind' not allowed/,
    ],
    [
      'a policy has a field that Dapr does not know',
      'deadLetterTopic:',
      'deadletterTopic:',
      /^Subscription .*'deadletterTopic' not allowed/,
    ],
    ['a verb list is no list', /httpVerb:\n\s+- GET/, 'httpVerb: GET', /^Configuration .*httpVerb.*array/],
    [
      'a field is there twice',
      '      automountServiceAccountToken: false',
      '$&\n$&',
      /already (set|defined)|duplicate/,
    ],
    [
      'an API version was removed',
      'apiVersion: policy/v1\n',
      'apiVersion: policy/v1beta1\n',
      /^PodDisruptionBudget .*could not find schema/,
    ],
  ])('When %s, then kubeconform finds it', (_what, from, to, message) => {
    expect(schemaErrors(tools, schemas, broken(from, to))).toEqual([expect.stringMatching(message)]);
  });

  it.each<[what: string, from: string | RegExp, to: string, message: RegExp]>([
    [
      'a container has no limits',
      /limits:\n\s+cpu: "1"\n\s+memory: 320Mi\n\s+/,
      '',
      /^Deployment\/\w+ container-resources: \(app\) CPU limit is not set/,
    ],
    [
      'an image has the tag "latest"',
      /image: redis:.*/,
      'image: redis:latest',
      /^StatefulSet\/redis container-image-tag: \(redis\) Image with latest tag/,
    ],
    ['an image has no tag', /image: redis:.*/, 'image: redis', /^StatefulSet\/redis container-image-tag/],
    [
      'a container is privileged',
      'readOnlyRootFilesystem: true',
      '$&\n          privileged: true',
      /^Deployment\/\w+ container-security-context-privileged: \(\w+\) The container is privileged/,
    ],
    [
      'a container may write to its root',
      'readOnlyRootFilesystem: true',
      'readOnlyRootFilesystem: false',
      /^Deployment\/\w+ container-security-context-readonlyrootfilesystem/,
    ],
    [
      'a service selects no pod',
      /(kind: Service\n[^]*?selector:\n\s+app.kubernetes.io\/name: )\w+/,
      '$1nobody',
      /^Service\/\w+ service-targets-pod: .*does not match any pods/,
    ],
  ])('When %s, then kube-score finds it', (_what, from, to, message) => {
    expect(unacceptedFindings('overlays/local', kubeScoreFindings(tools, broken(from, to)))).toContainEqual(
      expect.stringMatching(message),
    );
  });

  it('When a folder cannot be rendered, then the error has the reason of Kustomize', () => {
    expect(() => render(tools, 'overlays')).toThrow(/kustomization/);
  });
});
