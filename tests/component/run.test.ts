import { Agent, request, type ServerResponse } from 'node:http';
import { connect, Server, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { closeServer, DRAIN_TIMEOUT_MS, drainServer, listen } from '../../services/shared/http/listen.ts';
import { TIMED } from '../support/timed.ts';

describe('a server that closes', () => {
  // Each of the listeners of a port may have accepted the connection, so one try could miss the others.
  it.each([1, 2, 3, 4])(
    'When a request is in progress on a kept connection, then it gets its response before the server closes (try %s)',
    async () => {
      let answer = (_res: ServerResponse) => {};
      const reached = new Promise<ServerResponse>((resolve) => {
        answer = resolve;
      });
      const server = await listen((_req, res) => answer(res), 0, '127.0.0.1');
      const agent = new Agent({ keepAlive: true });
      const { port } = server.address() as AddressInfo;
      const answered = new Promise<string>((resolve, reject) => {
        request({ port, agent }, (res) => text(res).then(resolve, reject))
          .on('error', reject)
          .end();
      });
      const response = await reached;
      const closing = closeServer(server).then(() => 'closed');
      expect(await Promise.race([closing, delay(200, 'waits')])).toBe('waits');
      response.end('done');
      expect(await answered).toBe('done');
      await closing;
      agent.destroy();
    },
  );
});

describe('a server that drains', () => {
  it(
    'When a caller sends another request on a kept connection, then the response closes the connection',
    TIMED,
    async () => {
      const server = await listen((_req, res) => void res.end('done'), 0, '127.0.0.1');
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const { port } = server.address() as AddressInfo;
      const ask = () =>
        new Promise<string | undefined>((resolve, reject) => {
          request(
            { port, agent },
            (res) => void text(res).then(() => resolve(res.headers.connection), reject),
          )
            .on('error', reject)
            .end();
        });
      expect(await ask()).toBe('keep-alive');
      const started = performance.now();
      const drained = drainServer(server);
      expect(await ask()).toBe('close');
      await drained;
      expect(performance.now() - started).toBeLessThan(DRAIN_TIMEOUT_MS);
      await expect(ask()).rejects.toThrow('ECONNREFUSED');
      agent.destroy();
    },
  );
});

describe('a port', () => {
  it('When another server uses it, then listening fails until that server has closed', async () => {
    const answer = () => {};
    const first = await listen(answer, 0, '127.0.0.1');
    const { port } = first.address() as AddressInfo;
    await expect(listen(answer, port, '127.0.0.1')).rejects.toThrow('EADDRINUSE');
    await closeServer(first);
    await closeServer(await listen(answer, port, '127.0.0.1'));
  });

  it.each(['ENOTSUP', 'EINVAL'])(
    'When the system cannot share ports (%s), then there is one working listener',
    async (code) => {
      const shared: unknown[] = [];
      const originalListen = Reflect.get(Server.prototype, 'listen') as (...args: unknown[]) => Server;
      const spy = vi.spyOn(Server.prototype, 'listen').mockImplementation(function (
        this: Server,
        ...[options, ...rest]: unknown[]
      ) {
        if (!(options as { reusePort: boolean }).reusePort)
          return originalListen.call(this, options, ...rest);
        shared.push(options);
        process.nextTick(() => this.emit('error', Object.assign(new Error('listen'), { code })));
        return this;
      });
      const server = await listen((_req, res) => void res.end('here'), 0, '127.0.0.1').finally(() =>
        spy.mockRestore(),
      );
      const { port } = server.address() as AddressInfo;
      expect(shared).toHaveLength(1);
      expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('here');
      await closeServer(server);
    },
  );

  it('When a burst of clients connects at once, then all get a response', async () => {
    const server = await listen((_req, res) => void res.end('here'), 0, '127.0.0.1');
    const { port } = server.address() as AddressInfo;
    const answers = await Promise.all(
      Array.from({ length: 200 }, () =>
        fetch(`http://127.0.0.1:${port}`, { headers: { connection: 'close' } }).then((res) => res.text()),
      ),
    );
    expect(new Set(answers)).toEqual(new Set(['here']));
    await closeServer(server);
  });
});

describe('a kept connection', () => {
  it.each([
    [undefined, 75],
    [620_000, 620],
  ])('When %s ms are configured, then the header has %s seconds', async (keepAliveTimeoutMs, seconds) => {
    const options = keepAliveTimeoutMs === undefined ? {} : { keepAliveTimeoutMs };
    const server = await listen((_req, res) => void res.end('here'), 0, '127.0.0.1', options);
    const { port } = server.address() as AddressInfo;
    const answer = await fetch(`http://127.0.0.1:${port}`);
    expect(answer.headers.get('keep-alive')).toBe(`timeout=${seconds}`);
    expect(server.keepAliveTimeout).toBe(seconds * 1_000);
    await closeServer(server);
  });
});

describe('the target of a request', () => {
  it.each([
    ['/a?b=c', '/a?b=c'],
    ['http://shop.example/a?b=c', '/a?b=c'],
    ['HTTPS://shop.example:8080/a%20b', '/a%20b'],
    ['http://shop.example', '/'],
    ['http://shop.example?b=c', '/?b=c'],
    ['http://[::1]:80/a', '/a'],
    ['//shop.example/a', '//shop.example/a'],
    ['/http://shop.example/a', '/http://shop.example/a'],
  ])('When it is %s, then the app gets %s', async (target, path) => {
    const server = await listen((req, res) => void res.end(req.url), 0, '127.0.0.1');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.write(`GET ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
    expect((await text(socket)).split('\r\n\r\n')[1]).toBe(path);
    await closeServer(server);
  });
});
