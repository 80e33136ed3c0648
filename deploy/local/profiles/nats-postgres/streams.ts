import { readComponents, topicsIn, metadataValue } from '../../configuration/component-files.ts';
import {
  parseComponent,
  toResourceName,
  subscribersIn,
  profileComponent,
  type Subscriber,
} from './components.ts';
import { connectJetStream, type ConsumerConfig, type StreamConfig } from './jetstream.ts';

/**
 * Creates the streams, which Dapr expects to exist, and the consumers. Otherwise each sidecar creates a consumer with its own
 * delivery address. If two sidecars do so at the same time, the first one receives nothing.
 */
export async function createStreams(port: number): Promise<void> {
  const committed = readComponents();
  const api = await connectJetStream(port);
  try {
    const topicsOf = (name: string) =>
      topicsIn(metadataValue(parseComponent(committed, name), 'publishingScopes'));
    for (const topic of topicsOf('pubsub.yaml')) await api.putStream(streamConfig(topic));
    for (const topic of topicsOf('broadcast.yaml')) await api.putStream(broadcastStreamConfig(topic));
    for (const subscriber of subscribersIn(committed))
      await api.putConsumer(toResourceName(subscriber.topic), consumerConfig(subscriber));
  } finally {
    api.close();
  }
}

const SECOND_NS = 1_000_000_000;

/** Each topic has its own stream, because JetStream drops a second message with the same id in a stream. */
function streamConfig(topic: string): StreamConfig {
  return {
    name: toResourceName(topic),
    subjects: [topic],
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    // The value of maxLenApprox in components/pubsub.yaml.
    max_msgs: 100_000,
    // The minimum. A service may publish an event again with the same id, and that must be delivered.
    duplicate_window: SECOND_NS / 10,
  };
}

/** Broadcasts are short-lived. The stream is in files nevertheless, so that its consumers survive a restart of NATS. */
function broadcastStreamConfig(topic: string): StreamConfig {
  return {
    ...streamConfig(topic),
    max_msgs: 100,
    // For consumers without a durable name. By default NATS deletes one 5 s after its sidecar has lost the connection.
    consumer_limits: { inactive_threshold: 600 * SECOND_NS },
  };
}

/** The settings that Dapr takes from topic.yaml, and one delivery address for all replicas. */
function consumerConfig({ app, topic }: Subscriber): ConsumerConfig {
  const settings = profileComponent('topic.yaml');
  return {
    durable_name: `${app}_${toResourceName(topic)}`,
    filter_subject: topic,
    deliver_subject: `deliver.${app}.${topic}`,
    deliver_group: app,
    deliver_policy: 'all',
    ack_policy: 'explicit',
    replay_policy: 'instant',
    ack_wait: Number.parseInt(metadataValue(settings, 'ackWait'), 10) * SECOND_NS,
    max_ack_pending: Number(metadataValue(settings, 'maxAckPending')),
  };
}
