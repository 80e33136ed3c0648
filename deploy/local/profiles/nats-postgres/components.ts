import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments, parseDocument, type Document, type YAMLMap } from 'yaml';
import {
  component,
  subscription,
  toText,
  type Component,
  type Files,
} from '../../configuration/component-files.ts';
import { root } from '../../machine/paths.ts';

/** Who hears what, as components/subscriptions say. */
export interface Listener {
  app: string;
  topic: string;
  /** Where its sidecar sends what cannot be processed. */
  deadLetterTopic: string | undefined;
}

/**
 * A component works on one message after the other: with `concurrency: parallel` it acknowledges them before they are
 * handled. So there are this many for each topic, which share a consumer, and one that tries a message again and again
 * holds up only its share.
 */
const LANES = [1, 2, 3, 4, 5, 6, 7, 8];

/** A topic in the names of components, streams and consumers. */
export const hyphened = (topic: string) => topic.replaceAll(/[._]/g, '-');
const componentOf = (topic: string, lane: number) => `pubsub-${hyphened(topic)}-${lane}`;

/**
 * About forty seconds in all: longer than it takes the health check to pause the delivery to a service that is down. In that
 * time the message is delivered to three more lanes, by ackWait in topic.yaml, and holds those up too: not to all of them.
 */
const MAX_RETRIES = 12;

/** The component files on NATS and PostgreSQL. Whoever may say and hear what is as in the files that they replace. */
export function layOver(committed: Files): Files {
  const files = new Map(committed);
  for (const name of ['pubsub.yaml', 'broadcast.yaml', 'state.yaml']) {
    const replaced = componentIn(committed, name);
    const scopes = replaced.spec.metadata.filter((one) => one.name.endsWith('Scopes'));
    files.set(name, toText([withScopes(ownDocument(name), replaced.scopes, scopes)]));
  }

  const listeners = listenersIn(committed);
  const topics = [...new Set(listeners.map(({ topic }) => topic))];
  files.set(
    'topics.yaml',
    toText(topics.flatMap((topic) => LANES.map((lane) => topicComponent(topic, lane, listeners)))),
  );
  for (const [name, text] of subscriptionsIn(committed))
    files.set(name, toText(parseAllDocuments(text).flatMap((document) => inLanes(document))));

  const policies = documentIn(committed, 'resiliency.yaml');
  policies.setIn(['spec', 'policies', 'retries', 'redeliver', 'maxRetries'], MAX_RETRIES);
  const target = ['spec', 'targets', 'components'];
  const usual = (policies.getIn([...target, 'pubsub']) as YAMLMap).toJSON() as unknown;
  for (const topic of topics)
    for (const lane of LANES)
      policies.setIn([...target, componentOf(topic, lane)], policies.createNode(usual));
  files.set('resiliency.yaml', toText([policies]));
  return files;
}

/** The subscription in each of its lanes; a broadcast stays as it is. */
function inLanes(document: Document): Document[] {
  const { metadata, spec } = subscription.parse(document.toJS());
  if (spec.pubsubname !== 'pubsub') return [document];
  return LANES.map((lane) => {
    const one = document.clone();
    one.setIn(['metadata', 'name'], `${metadata.name}-${lane}`);
    one.setIn(['spec', 'pubsubname'], componentOf(spec.topic, lane));
    return one;
  });
}

/** The component that a topic's listeners have for it. It publishes their dead letters and nothing else. */
function topicComponent(topic: string, lane: number, listeners: Listener[]): Document {
  const here = listeners.filter((one) => one.topic === topic);
  const template = ownDocument('topic.yaml', (text) =>
    text.replaceAll('{topic}', hyphened(topic)).replaceAll('{lane}', String(lane)),
  );
  const scope = (name: string, topicOf: (listener: Listener) => string | undefined) => ({
    name,
    value: here.map((one) => `${one.app}=${topicOf(one) ?? 'none'}`).join(';'),
  });
  return withScopes(
    template,
    here.map(({ app }) => app),
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

export function listenersIn(files: Files): Listener[] {
  return subscriptionsIn(files)
    .flatMap(([, text]) => parseAllDocuments(text))
    .map((document) => subscription.parse(document.toJS()))
    .filter(({ spec }) => spec.pubsubname === 'pubsub')
    .flatMap(({ scopes, spec: { topic, deadLetterTopic } }) =>
      scopes.map((app) => ({ app, topic, deadLetterTopic })),
    );
}

const subscriptionsIn = (files: Files) => [...files].filter(([name]) => name.startsWith('subscriptions/'));

/** A committed component. */
export function componentIn(files: Files, name: string): Component {
  return component.parse(documentIn(files, name).toJS());
}

/** A component of profiles/nats-postgres. */
export function ownComponent(name: string): Component {
  return component.parse(ownDocument(name).toJS());
}

function documentIn(files: Files, name: string): Document {
  return parseDocument(files.get(name) ?? '');
}

function ownDocument(name: string, change = (text: string) => text): Document {
  const file = join(root, 'deploy/local/profiles/nats-postgres', name);
  return parseDocument(change(readFileSync(file, 'utf8')));
}
