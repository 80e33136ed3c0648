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
