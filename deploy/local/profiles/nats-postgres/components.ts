import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments, parseDocument, type Document, type YAMLMap } from 'yaml';
import {
  componentSchema,
  subscriptionSchema,
  stringifyDocuments,
  type Component,
  type Files,
} from '../../configuration/component-files.ts';
import { root } from '../../machine/paths.ts';

/** A subscription of an app, from components/subscriptions. */
export interface Subscriber {
  app: string;
  topic: string;
  /** The topic to which the sidecar sends messages that the app cannot process. */
  deadLetterTopic: string | undefined;
}

/**
 * A component handles one message at a time. With `concurrency: parallel` it would acknowledge messages before they are
 * handled. So each topic has several components that share one consumer. A message with many retries delays only those in
 * the same component.
 */
const COMPONENTS_PER_TOPIC = 8;
const NUMBERS = Array.from({ length: COMPONENTS_PER_TOPIC }, (_, index) => index + 1);

/** The topic in the name of a component, stream or consumer. */
export const toResourceName = (topic: string) => topic.replaceAll(/[._]/g, '-');
const componentName = (topic: string, number: number) => `pubsub-${toResourceName(topic)}-${number}`;

/**
 * The retries take about forty seconds, which is longer than the health check needs to pause the delivery to a failed service.
 * Meanwhile ackWait in topic.yaml redelivers the message to three more components and delays those, but not all.
 */
const MAX_RETRIES = 12;

/** The component files on NATS and PostgreSQL, with the scopes of the files that they replace. */
export function applyOverlay(committed: Files): Files {
  const files = new Map(committed);
  for (const name of ['pubsub.yaml', 'broadcast.yaml', 'state.yaml', 'workflows.yaml', 'settings.yaml']) {
    const replaced = parseComponent(committed, name);
    const scopes = replaced.spec.metadata.filter((one) => one.name.endsWith('Scopes'));
    files.set(name, stringifyDocuments([withScopes(profileDocument(name), replaced.scopes, scopes)]));
  }

  const subscribers = subscribersIn(committed);
  const topics = [...new Set(subscribers.map(({ topic }) => topic))];
  files.set(
    'topics.yaml',
    stringifyDocuments(
      topics.flatMap((topic) => NUMBERS.map((number) => topicComponent(topic, number, subscribers))),
    ),
  );
  for (const [name, text] of subscriptionsIn(committed))
    files.set(
      name,
      stringifyDocuments(parseAllDocuments(text).flatMap((document) => forEachComponent(document))),
    );

  const policies = parseFile(committed, 'resiliency.yaml');
  policies.setIn(['spec', 'policies', 'retries', 'redeliver', 'maxRetries'], MAX_RETRIES);
  const target = ['spec', 'targets', 'components'];
  const usual = (policies.getIn([...target, 'pubsub']) as YAMLMap).toJSON() as unknown;
  for (const topic of topics)
    for (const number of NUMBERS)
      policies.setIn([...target, componentName(topic, number)], policies.createNode(usual));
  files.set('resiliency.yaml', stringifyDocuments([policies]));
  return files;
}

/** The subscription for each component of its topic. A broadcast stays as it is. */
function forEachComponent(document: Document): Document[] {
  const { metadata, spec } = subscriptionSchema.parse(document.toJS());
  if (spec.pubsubname !== 'pubsub') return [document];
  return NUMBERS.map((number) => {
    const one = document.clone();
    one.setIn(['metadata', 'name'], `${metadata.name}-${number}`);
    one.setIn(['spec', 'pubsubname'], componentName(spec.topic, number));
    return one;
  });
}

/** A component for the subscribers of a topic. It publishes only their dead letters. */
function topicComponent(topic: string, number: number, subscribers: Subscriber[]): Document {
  const subscribersOfTopic = subscribers.filter((one) => one.topic === topic);
  const template = profileDocument('topic.yaml', (text) =>
    text.replaceAll('{topic}', toResourceName(topic)).replaceAll('{number}', String(number)),
  );
  const scope = (name: string, topicOf: (subscriber: Subscriber) => string | undefined) => ({
    name,
    value: subscribersOfTopic.map((one) => `${one.app}=${topicOf(one) ?? 'none'}`).join(';'),
  });
  return withScopes(
    template,
    subscribersOfTopic.map(({ app }) => app),
    [
      scope('publishingScopes', ({ deadLetterTopic }) => deadLetterTopic),
      scope('subscriptionScopes', () => topic),
    ],
  );
}

function withScopes(document: Document, apps: string[], topicScopes: unknown[]): Document {
  document.set('scopes', apps);
  for (const scope of topicScopes) document.addIn(['spec', 'metadata'], document.createNode(scope));
  return document;
}

export function subscribersIn(files: Files): Subscriber[] {
  return subscriptionsIn(files)
    .flatMap(([, text]) => parseAllDocuments(text))
    .map((document) => subscriptionSchema.parse(document.toJS()))
    .filter(({ spec }) => spec.pubsubname === 'pubsub')
    .flatMap(({ scopes, spec: { topic, deadLetterTopic } }) =>
      scopes.map((app) => ({ app, topic, deadLetterTopic })),
    );
}

const subscriptionsIn = (files: Files) => [...files].filter(([name]) => name.startsWith('subscriptions/'));

/** A committed component. */
export function parseComponent(files: Files, name: string): Component {
  return componentSchema.parse(parseFile(files, name).toJS());
}

/** A component of profiles/nats-postgres. */
export function profileComponent(name: string): Component {
  return componentSchema.parse(profileDocument(name).toJS());
}

function parseFile(files: Files, name: string): Document {
  return parseDocument(files.get(name) ?? '');
}

function profileDocument(name: string, change = (text: string) => text): Document {
  const file = join(root, 'deploy/local/profiles/nats-postgres', name);
  return parseDocument(change(readFileSync(file, 'utf8')));
}
