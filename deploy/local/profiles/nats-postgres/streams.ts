import { readComponents, topicsIn, valueOf } from '../../configuration/component-files.ts';
import { jetStream, type ConsumerConfig, type StreamConfig } from './jetstream.ts';
import { componentIn, hyphened, listenersIn, ownComponent, type Listener } from './components.ts';

/**
 * Makes the streams, which Dapr expects to exist, and the consumers. Dapr would make those, each sidecar with an address
 * of its own to deliver to: of two that do so in the same moment, the first then gets nothing.
 */
export async function makeStreams(port: number): Promise<void> {
  const committed = readComponents();
  const api = await jetStream(port);
  try {
    const topicsOf = (name: string) => topicsIn(valueOf(componentIn(committed, name), 'publishingScopes'));
    for (const topic of topicsOf('pubsub.yaml')) await api.putStream(streamOf(topic));
    for (const topic of topicsOf('broadcast.yaml')) await api.putStream(broadcastStreamOf(topic));
    for (const listener of listenersIn(committed))
      await api.putConsumer(hyphened(listener.topic), consumerOf(listener));
  } finally {
    api.close();
  }
}

const SECOND = 1_000_000_000;

/** A stream of its own for each topic: within one, JetStream takes two messages with the same id for one. */
function streamOf(topic: string): StreamConfig {
  return {
    name: hyphened(topic),
    subjects: [topic],
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    // As maxLenApprox in components/pubsub.yaml.
    max_msgs: 100_000,
    // The least that is allowed. An event is said again on purpose, with the same id: it must come through.
    duplicate_window: SECOND / 10,
  };
}

/** Nothing of it is worth keeping, but it is in files: its consumers have to be there after NATS has started again. */
function broadcastStreamOf(topic: string): StreamConfig {
  return {
    ...streamOf(topic),
    max_msgs: 100,
    // Of a consumer without a durable name. By default it is gone when its sidecar has lost the connection for 5 s.
    consumer_limits: { inactive_threshold: 600 * SECOND },
  };
}

/** What Dapr would ask for with topic.yaml, and a place to deliver to that all replicas know. */
function consumerOf({ app, topic }: Listener): ConsumerConfig {
  const settings = ownComponent('topic.yaml');
  return {
    durable_name: `${app}_${hyphened(topic)}`,
    filter_subject: topic,
    deliver_subject: `deliver.${app}.${topic}`,
    deliver_group: app,
    deliver_policy: 'all',
    ack_policy: 'explicit',
    replay_policy: 'instant',
    ack_wait: Number.parseInt(valueOf(settings, 'ackWait'), 10) * SECOND,
    max_ack_pending: Number(valueOf(settings, 'maxAckPending')),
  };
}
