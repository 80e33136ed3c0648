import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { z } from 'zod';

/** As much of JetStream's API as it takes to make what Dapr expects to exist: streams and consumers. */
export interface JetStream {
  /** Makes the stream, or gives the one of that name these values. */
  putStream: (config: StreamConfig) => Promise<void>;
  /** Makes the consumer, or gives the one of that name these values. */
  putConsumer: (stream: string, config: ConsumerConfig) => Promise<void>;
  close: () => void;
}

/** https://docs.nats.io/nats-concepts/jetstream/streams; times in nanoseconds. */
export interface StreamConfig {
  name: string;
  subjects: string[];
  [option: string]: unknown;
}

/** https://docs.nats.io/nats-concepts/jetstream/consumers; times in nanoseconds. */
export interface ConsumerConfig {
  durable_name: string;
  filter_subject: string;
  [option: string]: unknown;
}

const PATIENCE_MS = 5_000;
const STREAM_EXISTS = 10_058;

const reply = z.looseObject({
  error: z.object({ err_code: z.int().optional(), description: z.string() }).optional(),
});
type Reply = z.infer<typeof reply>;

/**
 * Speaks to the NATS on this port in its own protocol, of lines: https://docs.nats.io/reference/nats-protocol.
 *
 * @throws Error where none answers in time, or one without JetStream
 */
export async function jetStream(port: number): Promise<JetStream> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('NATS did not respond')));
  // The messages that we get are JSON in one line, so that a message is two lines as well.
  const lines = createInterface({ input: socket, crlfDelay: Infinity })[Symbol.asyncIterator]();
  const failed = once(socket, 'error').then(([error]: unknown[]) => {
    throw error;
  });
  failed.catch(() => {});
  const inbox = `_INBOX.${process.pid}`;

  async function lineThat(begins: string): Promise<string> {
    for (;;) {
      const { value, done } = await Promise.race([lines.next(), failed]);
      const line = done ? '-ERR closed' : value;
      if (line.startsWith(begins)) return line;
      if (line === 'PING') socket.write('PONG\r\n');
      if (line.startsWith('-ERR')) throw new Error(`NATS responded with ${line}`);
    }
  }

  async function ask(subject: string, body: unknown): Promise<Reply> {
    const payload = JSON.stringify(body);
    socket.write(`PUB $JS.API.${subject} ${inbox} ${Buffer.byteLength(payload)}\r\n${payload}\r\n`);
    await lineThat('MSG');
    return reply.parse(JSON.parse(await lineThat('{')));
  }

  async function demand(what: string, subject: string, body: unknown): Promise<void> {
    const { error } = await ask(subject, body);
    if (error) throw new Error(`JetStream rejected ${what}: ${error.description}`);
  }

  const info = await lineThat('INFO');
  if (!info.includes('"jetstream":true')) throw new Error(`the NATS server on port ${port} has no JetStream`);
  socket.write(`CONNECT {"verbose":false}\r\nSUB ${inbox} 1\r\n`);

  return {
    async putStream(config) {
      const { error } = await ask(`STREAM.CREATE.${config.name}`, config);
      if (error?.err_code === STREAM_EXISTS)
        await demand(`the stream ${config.name}`, `STREAM.UPDATE.${config.name}`, config);
      else if (error) throw new Error(`JetStream rejected the stream ${config.name}: ${error.description}`);
    },
    async putConsumer(stream, config) {
      const { durable_name: name, filter_subject: filter } = config;
      await demand(`the consumer ${name}`, `CONSUMER.CREATE.${stream}.${name}.${filter}`, {
        stream_name: stream,
        config,
      });
    },
    close: () => socket.destroy(),
  };
}
