import { JetStreamApiError, jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

/** The part of JetStream's API that creates streams and consumers. */
export interface JetStream {
  /** Creates or updates the stream of this name. */
  putStream: (config: StreamConfig) => Promise<void>;
  /** Creates or updates the consumer of this name. */
  putConsumer: (stream: string, config: ConsumerConfig) => Promise<void>;
  close: () => void;
}

/** https://docs.nats.io/nats-concepts/jetstream/streams; times in nanoseconds. */
export type StreamConfig = Parameters<JetStreamManager['streams']['add']>[0];

/** https://docs.nats.io/nats-concepts/jetstream/consumers; times in nanoseconds. */
export type ConsumerConfig = Parameters<JetStreamManager['consumers']['add']>[1] & { durable_name: string };

const TIMEOUT_MS = 5_000;
/** https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const STREAM_EXISTS = 10_058;
const CONSUMER_EXISTS = 10_148;

/**
 * Connects to the NATS server on this port.
 *
 * @throws Error if no server with JetStream answers in time
 */
export async function connectJetStream(port: number): Promise<JetStream> {
  const connection = await connect({ port, timeout: TIMEOUT_MS, reconnect: false });
  const { streams, consumers } = await jetstreamManager(connection).catch(async (error: unknown) => {
    await connection.close();
    throw error;
  });
  return {
    putStream: (config) =>
      put(
        STREAM_EXISTS,
        () => streams.add(config),
        () => streams.update(config.name, config),
      ),
    putConsumer: (stream, config) =>
      put(
        CONSUMER_EXISTS,
        () => consumers.add(stream, config),
        () => consumers.update(stream, config.durable_name, config),
      ),
    close: () => void connection.close(),
  };
}

async function put(
  exists: number,
  add: () => Promise<unknown>,
  update: () => Promise<unknown>,
): Promise<void> {
  try {
    await add();
  } catch (error) {
    if (!(error instanceof JetStreamApiError && error.code === exists)) throw error;
    await update();
  }
}
