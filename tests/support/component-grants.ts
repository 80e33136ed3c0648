import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import type { Files } from '../../deploy/local/configuration/component-files.ts';
import { DEAD_LETTERS, type Access, type Topic } from '../../services/access.ts';

/**
 * The permissions that component files grant, as daprd 1.18.2 reads them: pkg/scopes, pkg/apis/common/scoped.go and
 * IsOperationAllowed in pkg/runtime/pubsub. Each permission is a sentence, so that two sets can be compared.
 */

/** Stands for every topic that is not in the table. */
const OTHER_TOPIC = 'any-other-topic';
/** Stands for "no topic" in a scope, because a missing scope grants all topics. */
const NO_TOPIC = 'none';

const metadata = z.object({ name: z.string() });
const scopes = z.array(z.string()).default([]);
const resource = z.discriminatedUnion('kind', [
  z.looseObject({
    kind: z.literal('Component'),
    metadata,
    scopes,
    auth: z.object({ secretStore: z.string() }).optional(),
    spec: z.object({
      type: z.string(),
      metadata: z.array(z.looseObject({ name: z.string(), value: z.unknown().optional() })),
    }),
  }),
  z.looseObject({
    kind: z.literal('Subscription'),
    scopes,
    spec: z.strictObject({
      pubsubname: z.string(),
      topic: z.string(),
      routes: z.strictObject({ default: z.string() }),
      deadLetterTopic: z.string().optional(),
      metadata: z.record(z.string(), z.string()).optional(),
    }),
  }),
  z.looseObject({
    kind: z.literal('Configuration'),
    spec: z.looseObject({
      secrets: z
        .strictObject({
          scopes: z.array(z.strictObject({ storeName: z.string(), defaultAccess: z.string() })),
        })
        .default({ scopes: [] }),
    }),
  }),
  z.looseObject({
    kind: z.literal('Resiliency'),
    scopes,
    spec: z.looseObject({
      targets: z.looseObject({
        apps: z.record(z.string(), z.looseObject({ timeout: z.string() })).default({}),
      }),
    }),
  }),
]);
type Resource = z.infer<typeof resource>;
type ComponentResource = Extract<Resource, { kind: 'Component' }>;

/** The permissions that only the files grant, and those that only the table grants. */
export function grantDifferences(files: Files, table: readonly Access[]): string[] {
  const resources = resourcesIn(files);
  const granted = new Set(grantedBy(resources, table));
  const needed = new Set(neededBy(table, resources));
  return [
    ...[...granted].filter((one) => !needed.has(one)).map((one) => `too much: ${one}`),
    ...[...needed].filter((one) => !granted.has(one)).map((one) => `too little: ${one}`),
  ];
}

const publishes = (app: string, topic: string, component: string) =>
  `${app} publishes ${topic} on ${component}`;
const subscribes = (app: string, topic: string, component: string) =>
  `${app} subscribes to ${topic} on ${component}`;
const has = (app: string, component: string) => `${app} has the component ${component}`;
const receives = (app: string, topic: Topic, route: string, deadLetterTopic?: string) =>
  `${app} receives ${topic.name} of ${topic.component} at ${route}, and its dead letters go to ${deadLetterTopic ?? 'no topic'}`;
const readsSecrets = (component: string) => `every app that has the component ${component} reads its secrets`;

function grantedBy(resources: readonly Resource[], table: readonly Access[]): string[] {
  const allApps = table.map(({ app }) => app);
  // A component without scopes is for all apps.
  const scoped = (names: readonly string[]) => (names.length > 0 ? names : allApps);
  const denied = new Set(
    resources
      .filter((one) => one.kind === 'Configuration')
      .flatMap(({ spec }) => spec.secrets.scopes)
      .filter(({ defaultAccess }) => defaultAccess === 'deny')
      .map(({ storeName }) => storeName),
  );
  const topics = [...new Set(table.flatMap((one) => one.publishes).map(({ name }) => name)), OTHER_TOPIC];

  return resources.flatMap((one) => {
    if (one.kind === 'Subscription') {
      const { pubsubname: component, topic: name, routes, deadLetterTopic } = one.spec;
      const topic = { component, name } as Topic;
      return scoped(one.scopes).map((app) => receives(app, topic, routes.default, deadLetterTopic));
    }
    if (one.kind !== 'Component') return [];
    const component = one.metadata.name;
    const apps = scoped(one.scopes);
    const components = apps.map((app) => has(app, component));
    if (one.spec.type.startsWith('secretstores.'))
      return [...components, ...(denied.has(component) ? [] : [readsSecrets(component)])];
    if (!one.spec.type.startsWith('pubsub.')) return components;
    const [publishing, subscribing] = [
      topicScopes(one, 'publishingScopes'),
      topicScopes(one, 'subscriptionScopes'),
    ];
    const strangers = [...publishing.keys(), ...subscribing.keys()].filter((app) => !apps.includes(app));
    return [
      ...components,
      ...strangers.map((app) => `${app} has topics of ${component}, but not the component`),
      ...apps.flatMap((app) => [
        ...topics
          .filter((topic) => allows(publishing.get(app), topic))
          .map((topic) => publishes(app, topic, component)),
        ...topics
          .filter((topic) => allows(subscribing.get(app), topic))
          .map((topic) => subscribes(app, topic, component)),
      ]),
    ];
  });
}

function neededBy(table: readonly Access[], resources: readonly Resource[]): string[] {
  const components = resources.filter((one) => one.kind === 'Component');
  return [
    ...table.flatMap(({ app, publishes: published, subscribes: subscribed }) => [
      ...published.map(({ name, component }) => publishes(app, name, component)),
      ...subscribed.map(({ name, component }) => subscribes(app, name, component)),
      ...subscribed.map((topic) => receives(app, topic, `/events/${topic.name}`, deadLetterTopicOf(topic))),
    ]),
    ...components.flatMap((one) =>
      ownersOf(one, table, components).map((app) => has(app, one.metadata.name)),
    ),
  ];
}

/** A broadcast may be lost, and a dead letter that cannot be saved is redelivered. */
function deadLetterTopicOf({ component, name }: Topic): string | undefined {
  return component === DEAD_LETTERS.component && name !== DEAD_LETTERS.name ? DEAD_LETTERS.name : undefined;
}

/** The apps that need a component. A secret store is for the apps whose components use its secrets. */
function ownersOf(
  { metadata: { name }, spec: { type, metadata: items } }: ComponentResource,
  table: readonly Access[],
  components: readonly ComponentResource[],
): string[] {
  const [kind = ''] = type.split('.');
  const appsWhere = (needs: (access: Access) => boolean) => table.filter(needs).map(({ app }) => app);
  switch (kind) {
    case 'pubsub':
      return appsWhere((one) =>
        [...one.publishes, ...one.subscribes].some((topic) => topic.component === name),
      );
    case 'state': {
      const isForWorkflows = items.some((item) => item.name === 'actorStateStore');
      return appsWhere(({ apis }) => apis.includes(isForWorkflows ? 'workflows' : 'state'));
    }
    case 'bindings':
    case 'configuration':
      return appsWhere(({ apis }) => apis.includes(kind));
    case 'secretstores':
      return components
        .filter((one) => one.auth?.secretStore === name)
        .flatMap((one) => ownersOf(one, table, components));
    default:
      throw new Error(`no rule for the owners of a component of type ${type}`);
  }
}

/** The topics in `orders=order.created,order.paid;users=none`, by app. An entry without "=" is ignored. */
function topicScopes({ spec }: ComponentResource, name: string): Map<string, string[]> {
  const value = spec.metadata.find((one) => one.name.toLowerCase() === name.toLowerCase())?.value;
  const byApp = new Map<string, string[]>();
  for (const entry of typeof value === 'string' ? value.replaceAll(' ', '').split(';') : []) {
    const [app = '', topics] = entry.split('=');
    if (topics !== undefined) byApp.set(app, [...(byApp.get(app) ?? []), ...topics.split(',')]);
  }
  return byApp;
}

/** An app without an entry may use every topic. */
function allows(scope: readonly string[] | undefined, topic: string): boolean {
  return scope === undefined || (topic !== NO_TOPIC && scope.includes(topic));
}

/** The services for which each app has a timeout, such as `orders -> inventory`. */
export function appTimeouts(files: Files): string[] {
  return resourcesIn(files)
    .filter((one) => one.kind === 'Resiliency')
    .flatMap(({ scopes: apps, spec }) =>
      Object.keys(spec.targets.apps).flatMap((target) => apps.map((app) => `${app} -> ${target}`)),
    );
}

function resourcesIn(files: Files): Resource[] {
  return [...files.values()]
    .flatMap((text) => parseAllDocuments(text))
    .map((document) => resource.parse(document.toJS()));
}
