import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { accessFiles } from '../../deploy/kubernetes/manifests.ts';
import { readComponents } from '../../deploy/local/configuration/component-files.ts';
import { readTemplate, type Template } from '../../deploy/local/configuration/template.ts';
import { ACCESS } from '../../services/access.ts';
import { grantDifferences } from '../support/component-grants.ts';
import { renderAll, SHOP_FOLDERS, type Manifest } from '../support/manifests.ts';
import { componentDifferences } from '../support/rendered-components.ts';
import { servicesIn, type Workload } from '../support/workloads.ts';

/** Compares the manifests with services/access.ts, the component files and dapr.yaml, so that no change is forgotten. */

const rendered = await renderAll(SHOP_FOLDERS);
const committed = readComponents();
const APPS = ACCESS.map(({ app }) => app);

/** The folders that contain the services. */
const withServices = rendered.filter(({ manifests }) => servicesIn(manifests).length > 0);
const { manifests: local } = withServices.find(({ folder }) => folder === 'overlays/local')!;

it('When folders are counted, then the base and the overlays for a cluster have the services', () => {
  expect(withServices.map(({ folder }) => folder)).toEqual(
    expect.arrayContaining(['base', 'overlays/local']),
  );
});

describe('the generated manifests', () => {
  const folder = 'deploy/kubernetes/base/access';

  it('When the table or configuration.yaml has changed, then `npm run generate` has updated them', () => {
    const files = new Map(
      readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
    );
    expect(files).toEqual(accessFiles());
  });

  it('When a call is added to the table, then they differ', () => {
    const more = ACCESS.map((one) =>
      one.app === 'users'
        ? { ...one, calls: [{ service: 'orders', method: 'GET' as const, path: '/x' }] }
        : one,
    );
    expect(accessFiles(more)).not.toEqual(accessFiles());
  });
});

describe('the components', () => {
  /** The fields that may differ from a file: addresses and secrets. */
  const MAY_DIFFER = [
    /^Component (pubsub|broadcast|settings) (redisHost|redisPassword)$/,
    /^Component (pubsub|broadcast|settings) (failover|sentinelMasterName|enableTLS)$/,
    // These overlays use another store.
    /^Component (statestore|workflowstore) (type|version|connectionString|busyTimeout|timeout|maxConns)$/,
    /^Component workflowstore tablePrefix$/,
    /^Component email(-\d)? (auth|host|port|emailFrom)$/,
  ];
  const unexpected = (files: typeof committed, manifests: readonly Manifest[]) =>
    componentDifferences(files, manifests).filter((change) => !MAY_DIFFER.some((one) => one.test(change)));

  it('When kustomization.yaml lists files, then it has all but those for a local run', () => {
    const { resources } = z
      .object({ resources: z.array(z.string()) })
      .parse(parse(readFileSync('components/kustomization.yaml', 'utf8')));
    const others = new Set(['secrets.yaml', 'configuration.yaml']);
    expect(resources.toSorted()).toEqual(
      [...committed.keys()].filter((file) => !others.has(file)).toSorted(),
    );
  });

  it.each(rendered)('When $folder is rendered, then the components equal the files', ({ manifests }) => {
    expect(unexpected(committed, manifests)).toEqual([]);
  });

  it.each(rendered)(
    'When $folder is rendered, then the components grant exactly the table',
    ({ manifests }) => {
      const kinds = new Set(['Component', 'Subscription', 'Resiliency', 'Configuration']);
      const resources = manifests.filter(({ kind }) => kinds.has(kind)).map((one) => stringify(one));
      expect(grantDifferences(new Map([['rendered', resources.join('---\n')]]), ACCESS)).toEqual([]);
    },
  );

  it.each(rendered)('When $folder is rendered, then each has its scopes', ({ manifests }) => {
    const scoped = z.looseObject({ scopes: z.array(z.enum(APPS)).min(1) });
    const components = manifests.filter(({ kind }) => ['Component', 'Subscription'].includes(kind));
    expect(
      components.filter((one) => !scoped.safeParse(one).success).map(({ metadata }) => metadata.name),
    ).toEqual([]);
  });

  it.each<[what: string, file: string, from: string, to: string, changes: string[]]>([
    ['a value', 'pubsub.yaml', "value: '64'", "value: '65'", ['Component pubsub concurrency']],
    [
      'a new value',
      'pubsub.yaml',
      '- name: redeliver',
      '- name: x\n      value: y\n    - name: redeliver',
      ['Component pubsub x'],
    ],
    ['scopes', 'state.yaml', 'scopes: [users, ', 'scopes: [', ['Component statestore scopes']],
    ['who may publish', 'broadcast.yaml', 'gateway=none', '', ['Component broadcast publishingScopes']],
    ['a policy', 'resiliency.yaml', 'maxRetries: 64', 'maxRetries: 65', ['Resiliency components policies']],
    ['a target', 'resiliency-orders.yaml', 'timeout: lookup', 'timeout: 5s', ['Resiliency orders targets']],
    [
      'a name',
      'resiliency-orders.yaml',
      'name: orders',
      'name: x',
      ['Resiliency x is missing', 'Resiliency orders is added'],
    ],
    ['a password', 'email.yaml', 'key: password', 'key: other', ['Component email password']],
  ])(
    'When %s has changed in a file but not in the manifests, then the comparison finds it',
    (_what, file, from, to, changes) => {
      const text = committed.get(file)!;
      const changed = text.replace(from, to);
      expect(changed).not.toBe(text);
      expect(unexpected(new Map([...committed, [file, changed]]), local)).toEqual(
        expect.arrayContaining(changes),
      );
    },
  );
});

describe('the configurations', () => {
  const table = z.record(z.string(), z.unknown());
  const configuration = z.object({ spec: table.and(z.object({ tracing: table })) });
  const without = (fields: Record<string, unknown>, ...names: string[]) =>
    Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));

  /** The common settings of all apps. Tracing settings belong to overlays. */
  function common(resource: unknown) {
    const { spec } = configuration.parse(resource);
    return {
      ...without(spec, 'nameResolution', 'secrets', 'api', 'accessControl'),
      tracing: without(spec.tracing, 'zipkin', 'samplingRate'),
    };
  }

  const expected = common(parse(committed.get('configuration.yaml')!));

  it.each(rendered)('When those of $folder are read, then they equal configuration.yaml', ({ manifests }) => {
    const all = manifests.filter(({ kind }) => kind === 'Configuration');
    expect(all.length).toBeGreaterThan(0);
    for (const one of all) expect(common(one)).toEqual(expected);
  });

  it('When the file has more settings, then the comparison finds them', () => {
    const more = committed.get('configuration.yaml')!.replace('enabled: false', 'enabled: true');
    expect(common(parse(more))).not.toEqual(expected);
  });
});

describe('the services', () => {
  const template = readTemplate();

  it.each(withServices)(
    'When those of $folder are counted, then they are the apps of dapr.yaml',
    ({ manifests }) => {
      const apps = template.apps.map(({ appID }) => appID).toSorted();
      for (const kind of [
        'HorizontalPodAutoscaler',
        'PodDisruptionBudget',
        'ServiceAccount',
        'Configuration',
      ])
        expect({ [kind]: named(manifests, kind) }).toEqual({ [kind]: apps });
      expect(
        servicesIn(manifests)
          .map(({ name }) => name)
          .toSorted(),
      ).toEqual(apps);
      // A pod has other variables, too.
      for (const kind of ['Service', 'NetworkPolicy'])
        expect({ [kind]: named(manifests, kind) }).toEqual({ [kind]: expect.arrayContaining(apps) });
    },
  );

  const named = (manifests: readonly Manifest[], kind: string) =>
    manifests
      .filter((one) => one.kind === kind)
      .map(({ metadata }) => metadata.name)
      .toSorted();

  it.each(withServices)(
    'When those of $folder run, then they have the settings of dapr.yaml',
    ({ manifests }) => {
      expect(servicesIn(manifests).flatMap((service) => sameAs(template, service))).toEqual([]);
    },
  );

  it.each<[what: string, change: (template: Template) => void, found: string]>([
    [
      'the interval of its probe',
      ({ common }) => (common.appHealthProbeInterval = 9),
      'app-health-probe-interval',
    ],
    ['how long it may take', ({ common }) => (common.appHealthProbeTimeout = 9), 'app-health-probe-timeout'],
    ['when it is down', ({ common }) => (common.appHealthThreshold = 9), 'app-health-threshold'],
    ['the path of its probe', ({ common }) => (common.appHealthCheckPath = '/x'), 'app-health-check-path'],
    ['how long headers are', ({ common }) => (common.readBufferSize = '4Ki'), 'read-buffer-size'],
    ['its heap', ({ common }) => (common.env['NODE_OPTIONS'] = ''), 'NODE_OPTIONS'],
    [
      'the memory that it releases',
      ({ common }) => (common.env['MALLOC_TRIM_THRESHOLD_'] = ''),
      'MALLOC_TRIM_THRESHOLD_',
    ],
    ['its environment', ({ common }) => (common.env['NODE_ENV'] = 'test'), 'NODE_ENV'],
    [
      'a variable of it',
      ({ apps }) => (apps.find(({ appID }) => appID === 'orders')!.env = { NEW: '1' }),
      'NEW is not there',
    ],
    ['its name', ({ apps }) => (apps.find(({ appID }) => appID === 'orders')!.appID = 'x'), 'app-id'],
  ])('When only dapr.yaml changes %s, then the comparison finds it', (_what, change, found) => {
    const changed = structuredClone(template);
    change(changed);
    const orders = servicesIn(local).find(({ name }) => name === 'orders')!;
    expect(sameAs(changed, orders)).toContainEqual(expect.stringContaining(found));
  });
});

/** The differences between dapr.yaml and a pod. */
function sameAs({ common, apps }: Template, { name, annotations, pod }: Workload): string[] {
  const app = apps.find(({ appID }) => appID === name);
  const env = new Map(
    pod.containers.find((one) => one.name === 'app')?.env.map((one) => [one.name, one.value]),
  );
  const port = annotations['dapr.io/app-port'];
  const expected: Record<string, string> = {
    'app-id': app?.appID ?? 'none',
    config: name,
    'enable-app-health-check': String(common['enableAppHealthCheck']),
    'app-health-check-path': common.appHealthCheckPath,
    'app-health-probe-interval': String(common.appHealthProbeInterval),
    'app-health-probe-timeout': String(common.appHealthProbeTimeout),
    'app-health-threshold': String(common.appHealthThreshold),
    'read-buffer-size': common.readBufferSize,
    // With workflows, the sidecar has the address of Dapr's control plane.
    ...(app?.placementHostAddress
      ? {}
      : { 'placement-host-address': String(common['placementHostAddress']) }),
  };
  const variables = {
    NODE_ENV: common.env['NODE_ENV'],
    NODE_OPTIONS: common.env['NODE_OPTIONS'],
    MALLOC_TRIM_THRESHOLD_: common.env['MALLOC_TRIM_THRESHOLD_'],
    APP_PORT: port,
  };
  const differing = [
    ...Object.entries(expected).filter(
      ([annotation, value]) => annotations[`dapr.io/${annotation}`] !== value,
    ),
    ...Object.entries(variables).filter(([variable, value]) => env.get(variable) !== value),
    ...Object.keys(app?.env ?? {})
      .filter((variable) => !env.has(variable))
      .map((variable) => [variable, 'there']),
    ...(pod.serviceAccountName === name ? [] : [['serviceAccountName', name]]),
  ];
  return differing.map(([what, value]) => `${name}: ${what} is not ${value}`);
}
