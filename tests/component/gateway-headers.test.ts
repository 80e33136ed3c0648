import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../services/gateway/app.ts';
import { listen } from '../../services/shared/http/listen.ts';
import { stubUsersService, createKey, signToken, type Key } from '../support/access-tokens.ts';
import { gatewayOptions } from '../support/gateway-options.ts';
import { startService, type ServiceUnderTest } from '../support/service-under-test.ts';
import { waitFor } from '../support/wait.ts';

let key: Key;
let service: ServiceUnderTest;
let authorization: string;
beforeAll(async () => {
  key = await createKey('one');
  authorization = `Bearer ${await signToken(key)}`;
});
beforeEach(async () => {
  service = await startService((deps) =>
    createApp({ ...deps, ...gatewayOptions(), corsOrigins: ['https://shop.example'] }),
  );
  stubUsersService(service.sidecar, { keys: [key] });
  service.sidecar.answer('orders', () => ({ status: 200 }));
});
afterEach(() => service.stop());

const order = (headers: Record<string, string> = {}) =>
  service.http.get(`/api/orders/${randomUUID()}`).set({ authorization, ...headers });

describe('security headers', () => {
  it.each(['/docs', '/nowhere', '/health'])(
    'When the response is %s, then it has the security headers',
    async (path) => {
      const { headers } = await service.http.get(path);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
      });
      const policy = path === '/docs' ? "script-src 'self';" : "default-src 'none';frame-ancestors 'none'";
      expect(headers['content-security-policy']).toContain(policy);
      expect(headers).not.toHaveProperty('x-powered-by');
    },
  );
});

describe('cross-origin requests', () => {
  const preflight = (origin: string) =>
    service.http.options('/api/orders').set({
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization',
    });

  it('When a page of a known origin sends a preflight, then the response has the permissions', async () => {
    const { status, headers } = await preflight('https://shop.example');
    expect([status, headers['access-control-allow-origin']]).toEqual([204, 'https://shop.example']);
    expect(headers['access-control-allow-methods']).toContain('POST');
    expect(headers['access-control-allow-headers']).toContain('authorization');
  });

  it('When it calls, then it may read the response and its headers, also of errors', async () => {
    service.sidecar.answer('orders', () => ({ status: 404, body: { status: 404 } }));
    const { headers } = await order({ origin: 'https://shop.example' });
    expect(headers['access-control-allow-origin']).toBe('https://shop.example');
    expect(headers['access-control-expose-headers']).toContain('traceresponse');
    expect(headers['vary']).toContain('Origin');
  });

  it('When a page of another origin sends any request, then the response has no permissions', async () => {
    for (const { headers } of [
      await preflight('https://evil.example'),
      await order({ origin: 'https://evil.example' }),
    ])
      expect(headers).not.toHaveProperty('access-control-allow-origin');
  });

  it.each(['/docs', '/openapi.json', '/nowhere', '/.well-known/jwks.json'])(
    'When %s is requested without an origin, then the response varies by origin',
    async (path) => {
      const { headers } = await service.http.get(path);
      expect(headers['vary']?.toLowerCase().split(', ')).toContain('origin');
      expect(headers).not.toHaveProperty('access-control-allow-origin');
    },
  );

  it('When no origin is configured, then no response varies by origin', async () => {
    const other = await startService((deps) => createApp({ ...deps, ...gatewayOptions() }));
    expect((await other.http.get('/docs')).headers['vary'] ?? '').not.toMatch(/origin/i);
    await other.stop();
  });

  it('When OPTIONS is not a preflight, then the route handles it', async () => {
    const response = await service.http.options('/api/orders').set('origin', 'https://shop.example');
    expect(response.headers['allow']).toBe('POST, GET, HEAD, OPTIONS');
  });
});

describe('compression', () => {
  it('When the client accepts it and the response is long, then the response is compressed', async () => {
    const response = await service.http.get('/openapi.json').set('accept-encoding', 'gzip');
    expect(response.headers['content-encoding']).toBe('gzip');
    expect(response.body).toMatchObject({ openapi: '3.1.1' });
  });

  it('When the response is short, or the client does not accept it, then it is not compressed', async () => {
    const short = await service.http.get('/health').set('accept-encoding', 'gzip');
    const uncompressed = await service.http.get('/openapi.json').set('accept-encoding', 'identity');
    for (const { headers } of [short, uncompressed]) expect(headers).not.toHaveProperty('content-encoding');
  });
});

describe('conditional requests', () => {
  const long = { items: Array.from({ length: 200 }, (_, number) => ({ number })) };

  it('When a response has an entity tag, then it is not compressed, and no proxy may transform it', async () => {
    const tagged = { etag: '"3"', 'cache-control': 'no-store' };
    service.sidecar.answer('orders', () => ({ status: 200, headers: tagged, body: long }));
    const { headers } = await order({ 'accept-encoding': 'gzip' });
    expect(headers).toMatchObject({ etag: '"3"', 'cache-control': 'no-store, no-transform' });
    expect(headers).not.toHaveProperty('content-encoding');
  });

  it('When it has none, then it is compressed', async () => {
    service.sidecar.answer('orders', () => ({ status: 200, body: long }));
    const { headers } = await order({ 'accept-encoding': 'gzip' });
    expect(headers['content-encoding']).toBe('gzip');
  });

  it.each(['"3-gzip"', 'W/"3-gzip"', '"3-br"'])(
    'When the caller has the compressed variant %s, then the service gets the original tag',
    async (given) => {
      await order({ 'if-none-match': given });
      const forwardedTag = service.sidecar.calls.at(-1)?.headers['if-none-match'];
      expect(forwardedTag).toMatch(/^(W\/)?"3"$/);
    },
  );

  it('When a proxy has changed If-Match, then the service gets it unchanged and gives the reason', async () => {
    await order({ 'if-match': '"3-gzip"' });
    expect(service.sidecar.calls.at(-1)?.headers['if-match']).toBe('"3-gzip"');
  });

  it('When a service responds with 304, then the gateway does, too, without a body', async () => {
    service.sidecar.answer('orders', () => ({ status: 304, headers: { etag: '"3"' } }));
    const response = await order({ 'if-none-match': '"3"' });
    expect([response.status, response.headers['etag'], response.text]).toEqual([304, '"3"', '']);
    expect(service.sidecar.calls.at(-1)?.headers).toMatchObject({ 'if-none-match': '"3"' });
  });
});

describe('malformed requests', () => {
  async function send(request: string): Promise<string> {
    const server = await listen(
      (req, res) => void req.resume().on('end', () => res.end('reached')),
      0,
      '127.0.0.1',
    );
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.end(request);
    const answer = await text(socket);
    server.close();
    return answer;
  }

  it('When the client does not close its half of the connection, then the server still closes it', async () => {
    const server = await listen((_req, res) => void res.end('reached'), 0, '127.0.0.1');
    const { port } = server.address() as AddressInfo;
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {});
    const received = once(socket, 'data');
    socket.write('hello\r\n\r\n');
    await received;
    const connections = () =>
      new Promise<number>((resolve) => void server.getConnections((_, count) => resolve(count)));
    expect(
      await waitFor('it is closed', connections, { until: (count) => count === 0, timeoutMs: 3_000 }),
    ).toBe(0);
    socket.destroy();
    server.close();
  });

  it('When one arrives in the middle of a response, then the response is cut off without extra bytes', async () => {
    const server = await listen((_req, res) => void res.write('begun'), 0, '127.0.0.1');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    let answer = '';
    socket.on('data', (bytes) => (answer += String(bytes)));
    await waitFor('the response has begun', () => answer, { until: (seen) => seen.includes('begun') });
    socket.write('nonsense\r\n\r\n');
    await once(socket, 'close');
    expect(answer.match(/HTTP\/1.1/g)).toHaveLength(1);
    server.close();
  });

  it.each([
    ['GET / HTTP/1.0\r\n\r\n'],
    ['GET / HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n'],
    ['GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'],
  ])('When it is %j, then it reaches the app', async (request) => {
    expect(await send(request)).toMatch(/reached$/);
  });

  it('When a request without a host follows another one, then both get a response in order', async () => {
    const answers = await send('GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n');
    expect([...answers.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200', '400']);
  });

  it.each([
    ['the headers are huge', `GET / HTTP/1.1\r\nhost: a\r\nx: ${'a'.repeat(40_000)}\r\n\r\n`, 431],
    ['it is not HTTP', 'hello\r\n\r\n', 400],
    ['the target is huge', `GET /${'a'.repeat(40_000)} HTTP/1.1\r\nhost: a\r\n\r\n`, 431],
    ['there is no host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['it has an unknown expectation', 'GET / HTTP/1.1\r\nhost: a\r\nexpect: chips\r\n\r\n', 417],
    ['it takes us for a proxy', 'CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n', 501],
    [
      'the extensions of a chunk are huge',
      `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1;${'a'.repeat(20_000)}\r\na\r\n0\r\n\r\n`,
      413,
    ],
    ['a header has a line break in it', 'GET / HTTP/1.1\r\nhost: a\r\nx\u0000: a\r\n\r\n', 400],
  ])(
    'When %s, then the response is a problem document and the connection closes',
    async (_, request, status) => {
      const answer = await send(request);
      expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect(answer).toContain('content-type: application/problem+json');
      expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toMatchObject({ status });
    },
  );
});
