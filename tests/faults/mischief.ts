import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Chance } from './chance.ts';

/** How late a message can come. Milliseconds. */
const LATEST = 3_000;

/** What is done to messages: nothing, each delivered twice and late, and of which topic all come after what is said with them. */
export type Manner = 'none' | 'twice and late' | { last: string };

/** What stands between a sidecar and its service, and does mischief with the messages. */
export interface Mischief {
  set: (manner: Manner) => void;
  close: () => Promise<void>;
}

/**
 * Passes everything on, but every message twice and each time at a moment of chance: late, after newer ones, the second
 * time perhaps after the first was acknowledged. The sidecar hears what the service answers to the one that ends first.
 *
 * @param port where the sidecar finds its service
 * @param appPort where the service is
 */
export async function doMischief(port: number, appPort: number, source: Chance): Promise<Mischief> {
  const service = new Pool(`http://127.0.0.1:${appPort}`, { connections: 256 });
  let manner: Manner = 'none';

  async function forward(req: IncomingMessage, body: Buffer) {
    const { host: _host, connection: _connection, 'transfer-encoding': _encoding, ...headers } = req.headers;
    const answer = await service.request({
      method: req.method as 'GET',
      path: req.url ?? '/',
      headers: { ...headers, 'content-length': String(body.length) },
      body: body.length > 0 ? body : null,
    });
    return { status: answer.statusCode, headers: answer.headers, body: await buffer(answer.body) };
  }

  async function deliver(req: IncomingMessage, body: Buffer) {
    const isLast = typeof manner === 'object' && req.url === `/events/${manner.last}`;
    await delay(source.between(0, LATEST) + (isLast ? LATEST : 0));
    return forward(req, body);
  }

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = await buffer(req);
    const answer = await (manner !== 'none' && req.url?.startsWith('/events/')
      ? Promise.any([deliver(req, body), deliver(req, body)])
      : forward(req, body));
    res.writeHead(answer.status, withoutFraming(answer.headers)).end(answer.body);
  }

  const server: Server = createServer((req, res) => {
    // A service that is down looks down: its sidecar finds the connection closed.
    handle(req, res).catch(() => res.destroy());
  });
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    set: (to) => (manner = to),
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
