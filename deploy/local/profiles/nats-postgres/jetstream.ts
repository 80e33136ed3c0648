import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { z } from 'zod';

/** The part of JetStream's API that creates streams and consumers. */
export interface JetStream {
  /** Creates or updates the stream of this name. */
  putStream: (config: StreamConfig) => Promise<void>;
  /** Creates or updates the consumer of this name. */
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

const TIMEOUT_MS = 5_000;
const STREAM_EXISTS = 10_058;

const replySchema = z.looseObject({
  error: z.object({ err_code: z.int().optional(), description: z.string() }).optional(),
});
type Reply = z.infer<typeof replySchema>;

/**
 * Connects to the NATS on this port with its line protocol: https://docs.nats.io/reference/nats-protocol.
 *
 * @throws Error if no NATS responds in time, or if it has no JetStream
 */
export async function connectJetStream(port: number): Promise<JetStream> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('NATS did not respond')));
  // Each received message is two lines, because its JSON has no line breaks.
  const lines = createInterface({ input: socket, crlfDelay: Infinity })[Symbol.asyncIterator]();
  const failed = once(socket, 'error').then(([error]: unknown[]) => {
    throw error;
  });
  failed.catch(() => {});
  const inbox = `_INBOX.${process.pid}`;

  async function readLine(prefix: string): Promise<string> {
    for (;;) {
      const { value, done } = await Promise.race([lines.next(), failed]);
      const line = done ? '-ERR closed' : value;
      if (line.startsWith(prefix)) return line;
      if (line === 'PING') socket.write('PONG\r\n');
      if (line.startsWith('-ERR')) throw new Error(`NATS responded with ${line}`);
    }
  }

  async function request(subject: string, body: unknown): Promise<Reply> {
    const payload = JSON.stringify(body);
    socket.write(`PUB $JS.API.${subject} ${inbox} ${Buffer.byteLength(payload)}\r\n${payload}\r\n`);
    await readLine('MSG');
    return replySchema.parse(JSON.parse(await readLine('{')));
  }

  async function requestOrThrow(what: string, subject: string, body: unknown): Promise<void> {
    const { error } = await request(subject, body);
    if (error) throw new Error(`JetStream rejected ${what}: ${error.description}`);
  }

  const info = await readLine('INFO');
  if (!info.includes('"jetstream":true')) throw new Error(`the NATS server on port ${port} has no JetStream`);
  socket.write(`CONNECT {"verbose":false}\r\nSUB ${inbox} 1\r\n`);

  return {
    async putStream(config) {
      const { error } = await request(`STREAM.CREATE.${config.name}`, config);
      if (error?.err_code === STREAM_EXISTS)
        await requestOrThrow(`the stream ${config.name}`, `STREAM.UPDATE.${config.name}`, config);
      else if (error) throw new Error(`JetStream rejected the stream ${config.name}: ${error.description}`);
    },
    async putConsumer(stream, config) {
      const { durable_name: name, filter_subject: filter } = config;
      await requestOrThrow(`the consumer ${name}`, `CONSUMER.CREATE.${stream}.${name}.${filter}`, {
        stream_name: stream,
        config,
      });
    },
    close: () => socket.destroy(),
  };
}
