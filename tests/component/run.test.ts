import { Agent, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { closeServer, listen } from '../../services/shared/run.ts';

describe('a server that closes', () => {
  it('When a request is under way on a connection that is kept, then it is answered, and nobody waits any longer', async () => {
    let answer = () => {};
    const reached = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let finish = () => {};
    const server = await listen(
      (_req, res) => {
        finish = () => void res.end('done');
        answer();
      },
      0,
      '127.0.0.1',
    );
    const agent = new Agent({ keepAlive: true });
    const { port } = server.address() as AddressInfo;
    const answered = new Promise<string>((resolve, reject) => {
      request({ port, agent }, (res) => text(res).then(resolve, reject))
        .on('error', reject)
        .end();
    });
    await reached;
    const closing = closeServer(server);
    finish();
    expect(await answered).toBe('done');
    const started = performance.now();
    await closing;
    expect(performance.now() - started).toBeLessThan(1_000);
    agent.destroy();
  });
});

describe('a port', () => {
  it('When another server has it, then it is refused, and free again when that one has closed', async () => {
    const answer = () => {};
    const first = await listen(answer, 0, '127.0.0.1');
    const { port } = first.address() as AddressInfo;
    await expect(listen(answer, port, '127.0.0.1')).rejects.toThrow('EADDRINUSE');
    await closeServer(first);
    await closeServer(await listen(answer, port, '127.0.0.1'));
  });

  it('When a crowd connects at once, then everybody is answered', async () => {
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
