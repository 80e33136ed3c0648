import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { ACCESS } from '../../../services/access.ts';
import { readComponents } from '../configuration/component-files.ts';
import { readTemplate } from '../configuration/template.ts';
import { isGrpc } from '../infrastructure/scheduler.ts';
import {
  get,
  getFromSidecar,
  logOf,
  parseJson,
  respondsAtLast,
  RESTART,
  type CheckedApp,
  type CheckedSystem,
} from './checked-system.ts';
import { findingsOf, skipped, type Finding, type Problem } from './finding.ts';

/** https://docs.dapr.io/reference/api/metadata_api/ */
const metadataSchema = z.object({
  runtimeVersion: z.string(),
  components: z.array(z.object({ name: z.string() })).default([]),
  subscriptions: z.array(z.object({ topic: z.string() })).default([]),
  scheduler: z.object({ connected_addresses: z.array(z.string()).default([]) }).optional(),
  actorRuntime: z.object({ placement: z.string().default('') }).optional(),
});
type Metadata = z.infer<typeof metadataSchema>;

interface Sidecar {
  app: CheckedApp;
  problem: Problem | undefined;
  /** Undefined if the sidecar does not provide it. */
  metadata: Metadata | undefined;
}

/** Whether every sidecar runs, has the same version, and has loaded what its service needs. */
export async function checkSidecars(system: CheckedSystem): Promise<Finding[]> {
  const sidecars = await Promise.all(system.apps.map((app) => inspect(system, app)));
  const versions = new Set(sidecars.flatMap(({ metadata }) => metadata?.runtimeVersion ?? []));
  const problems = [
    ...sidecars.flatMap(({ problem }) => problem ?? []),
    ...(versions.size > 1
      ? [
          {
            message: `The sidecars have different versions of Dapr: ${[...versions].toSorted().join(', ')}.`,
            advice: `Remove the outdated daprd from the path. ${RESTART}`,
          },
        ]
      : []),
  ];
  const loaded = sidecars.filter(({ metadata }) => metadata !== undefined);
  return [
    ...findingsOf(
      'sidecars',
      problems,
      `all ${sidecars.length} are healthy, Dapr ${[...versions].join(', ')}`,
    ),
    ...(loaded.length > 0
      ? [...checkComponents(system, loaded), ...checkSubscriptions(loaded)]
      : [skipped('components', 'No sidecar provides its metadata.')]),
    ...(await Promise.all(controlPlanes(system).map((one) => checkControlPlane(one, loaded)))).flat(),
  ];
}

async function inspect(system: CheckedSystem, app: CheckedApp): Promise<Sidecar> {
  const health = await get(app.daprHttpPort, '/v1.0/healthz');
  const reply = typeof health === 'string' ? undefined : await getFromSidecar(system, app, '/v1.0/metadata');
  const text = reply === undefined || typeof reply === 'string' ? '' : reply.text;
  const metadata = metadataSchema.safeParse(parseJson(text)).data;
  return { app, metadata, problem: problemOf(app, health, reply) };
}

function problemOf(
  { name, daprHttpPort }: CheckedApp,
  health: Awaited<ReturnType<typeof get>>,
  metadata: Awaited<ReturnType<typeof getFromSidecar>>,
): Problem | undefined {
  const whose = `The sidecar of ${name}`;
  if (health === 'refused')
    return {
      message: `${whose} does not run: nothing listens on port ${daprHttpPort}.`,
      advice: `${logOf(name)} ${RESTART}`,
    };
  if (health === 'silent' || metadata === 'silent')
    return {
      message: `${whose} does not respond on port ${daprHttpPort}.`,
      advice: `${logOf(name)} ${RESTART}`,
    };
  if (health.status >= 300)
    return {
      message: `${whose} is not healthy: ${health.text.slice(0, 200) || `status ${health.status}`}`,
      advice: `A component does not start, or ${name} fails its health check. ${logOf(name)}`,
    };
  if (metadata === undefined || typeof metadata === 'string' || metadata.status !== 200)
    return {
      message: `${whose} does not accept the token of this system.`,
      advice:
        'Another system may run on these ports. Use the PORT_OFFSET and --profile with which the system was started.',
    };
  return undefined;
}

const componentSchema = z.object({
  kind: z.literal('Component'),
  metadata: z.object({ name: z.string() }),
  scopes: z.array(z.string()).default([]),
});

function checkComponents({ profile }: CheckedSystem, sidecars: readonly Sidecar[]): Finding[] {
  const committed = readComponents();
  const files = profile?.applyOverlay(committed) ?? committed;
  const components = [...files.values()]
    .flatMap((text) => parseAllDocuments(text))
    .flatMap((document) => componentSchema.safeParse(document.toJS()).data ?? []);
  const missing = sidecars.flatMap(({ app: { name }, metadata }) => {
    const loaded = new Set(metadata?.components.map((one) => one.name));
    return components
      .filter(({ scopes, metadata: { name: component } }) => scopes.includes(name) && !loaded.has(component))
      .map(({ metadata: { name: component } }) => ({
        message: `The sidecar of ${name} has not loaded the component ${component}.`,
        advice: `Its server may have been unavailable at the start. Search the log for ${component}. ${RESTART}`,
      }));
  });
  return findingsOf('components', missing, 'every sidecar has loaded those of its service');
}

function checkSubscriptions(sidecars: readonly Sidecar[]): Finding[] {
  const missing = sidecars.flatMap(({ app: { name }, metadata }) => {
    const loaded = new Set(metadata?.subscriptions.map(({ topic }) => topic));
    const needed = ACCESS.find(({ app }) => app === name)?.subscribes ?? [];
    return needed
      .filter(({ name: topic }) => !loaded.has(topic))
      .map(({ name: topic }) => ({
        message: `The sidecar of ${name} has not subscribed to ${topic}.`,
        advice: `See components/subscriptions/${name}.yaml and the log of the sidecar. ${RESTART}`,
      }));
  });
  const count = ACCESS.flatMap(({ subscribes }) => subscribes).length;
  return findingsOf('subscriptions', missing, `all ${count} of services/access.ts are loaded`);
}

/** A process of Dapr that sidecars are connected to. */
interface ControlPlane {
  name: 'scheduler' | 'placement';
  port: number;
  /** What happens without it. */
  consequence: string;
  /** The services whose sidecars need it. */
  users: ReadonlySet<string>;
  isConnected: (metadata: Metadata) => boolean;
}

const controlPlanes = ({ ports }: CheckedSystem): ControlPlane[] => [
  {
    name: 'scheduler',
    port: ports.scheduler,
    consequence: 'Jobs do not run: refunds and rebuilds wait, and parcels move late.',
    users: new Set(ACCESS.filter(({ apis }) => apis.includes('jobs')).map(({ app }) => app)),
    isConnected: ({ scheduler }) => scheduler?.connected_addresses.length !== 0,
  },
  {
    name: 'placement',
    port: ports.placement,
    consequence: 'Workflows do not run: returns wait for their refund.',
    users: new Set(readTemplate().apps.flatMap((app) => (app.placementHostAddress ? app.appID : []))),
    isConnected: ({ actorRuntime }) => actorRuntime?.placement.endsWith(': connected') ?? false,
  },
];

async function checkControlPlane(
  { name, port, consequence, users, isConnected }: ControlPlane,
  sidecars: readonly Sidecar[],
): Promise<Finding[]> {
  if (!(await respondsAtLast(() => isGrpc(port))))
    return findingsOf(
      name,
      [
        {
          message: `Dapr's ${name} does not respond on port ${port}.`,
          advice: `${consequence} See ${name}.log in the logs of the data. ${RESTART}`,
        },
      ],
      '',
    );
  const lost = sidecars.filter(
    ({ app, metadata }) => users.has(app.name) && metadata !== undefined && !isConnected(metadata),
  );
  return findingsOf(
    name,
    lost.map(({ app: { name: service } }) => ({
      message: `The sidecar of ${service} has no connection to Dapr's ${name}. ${consequence}`,
      advice: `The sidecar connects again by itself. If it does not within a minute, restart it. ${RESTART}`,
    })),
    sidecars.length > 0 ? 'responds, and the sidecars are connected' : 'responds',
  );
}
