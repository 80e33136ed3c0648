import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Prng } from './prng.ts';

/** The maximum delay of a message. */
const MAX_DELAY_MS = 3_000;

/** How messages are disturbed. `lastTopic` delays all messages of a topic more than the others. */
export type ChaosMode = 'none' | 'duplicated and delayed' | { lastTopic: string };

/** A proxy between a sidecar and its service that disturbs the messages. */
export interface MessageChaos {
  set: (mode: ChaosMode) => void;
  close: () => Promise<void>;
}

/**
 * Starts the proxy. It forwards every message twice, after random delays: late, out of order, and perhaps after the first
 * copy was acknowledged. The sidecar gets the response to the copy that ends first.
 *
 * @param port the port that the sidecar calls
 * @param appPort the port of the service
 */
export async function startMessageChaos(port: number, appPort: number, prng: Prng): Promise<MessageChaos> {
  const service = new Pool(`http://127.0.0.1:${appPort}`, { connections: 256 });
  let mode: ChaosMode = 'none';

  async function forward(req: IncomingMessage, body: Buffer) {
    const { host: _host, connection: _connection, 'transfer-encoding': _encoding, ...headers } = req.headers;
    const response = await service.request({
      method: req.method as 'GET',
      path: req.url ?? '/',
      headers: { ...headers, 'content-length': String(body.length) },
      body: body.length > 0 ? body : null,
    });
    return { status: response.statusCode, headers: response.headers, body: await buffer(response.body) };
  }

  async function deliver(req: IncomingMessage, body: Buffer) {
    const isLast = typeof mode === 'object' && req.url === `/events/${mode.lastTopic}`;
    await delay(prng.between(0, MAX_DELAY_MS) + (isLast ? MAX_DELAY_MS : 0));
    return forward(req, body);
  }

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = await buffer(req);
    const response = await (mode !== 'none' && req.url?.startsWith('/events/')
      ? Promise.any([deliver(req, body), deliver(req, body)])
      : forward(req, body));
    res.writeHead(response.status, withoutFraming(response.headers)).end(response.body);
  }

  const server: Server = createServer((req, res) => {
    // If the service is down, the sidecar gets a closed connection.
    handle(req, res).catch(() => res.destroy());
  });
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    set: (newMode) => (mode = newMode),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await service.close();
    },
  };
}

function withoutFraming(headers: Record<string, string | string[] | undefined>) {
  const {
    connection: _connection,
    'transfer-encoding': _encoding,
    'content-length': _length,
    ...rest
  } = headers;
  return rest;
}
