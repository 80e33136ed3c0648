import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTick } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createBatcher, QueueFullError } from '../../services/shared/util/batcher.ts';
import { ProviderError } from '../../services/payments/provider.ts';
import { notFound, OverloadedError, ProblemError, unavailable } from '../../services/shared/http/problem.ts';
import { createService } from '../../services/shared/runtime/service-app.ts';
import { ConflictError, SidecarError } from '../../services/shared/dapr/sidecar-call.ts';
import { createSidecarClient, startService } from '../support/service-under-test.ts';

/** A commit that the test ends, and that records its batches. */
function heldCommit() {
  const batches: number[][] = [];
  const ends: (() => void)[] = [];
  const commit = (items: number[]) => {
    batches.push(items);
    return new Promise<number[]>((done) => ends.push(() => done(items)));
  };
  return { batches, commit, endNext: () => ends.shift()?.() };
}

describe('items that wait for a batch', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
  afterEach(() => void vi.useRealTimers());

  it('When an item waits too long, then it is rejected and never processed', async () => {
    const { batches, commit, endNext } = heldCommit();
    const work = createBatcher(commit);
    const first = work(1);
    await nextTick();
    const waiting = Promise.allSettled([work(2), work(3)]);
    vi.advanceTimersByTime(3_000);
    for (const outcome of await waiting)
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(QueueFullError) as unknown });
    endNext();
    expect(await first).toBe(1);
    const later = work(4);
    await nextTick();
    endNext();
    expect(await later).toBe(4);
    expect(batches).toEqual([[1], [4]]);
  });

  it('When some wait longer than others, then each is rejected at its own time', async () => {
    const { batches, commit, endNext } = heldCommit();
    const work = createBatcher(commit);
    const first = work(1);
    await nextTick();
    const early = work(2).catch((error: unknown) => error);
    vi.advanceTimersByTime(1_000);
    const later = work(3).catch((error: unknown) => error);
    vi.advanceTimersByTime(1_000);
    const last = work(4);
    vi.advanceTimersByTime(1_000);
    expect(await early).toBeInstanceOf(QueueFullError);
    vi.advanceTimersByTime(1_000);
    expect(await later).toBeInstanceOf(QueueFullError);
    endNext();
    await first;
    endNext();
    expect(await last).toBe(4);
    expect(batches).toEqual([[1], [4]]);
  });

  it('When a delay is set, then all items of that time are one batch', async () => {
    vi.useRealTimers();
    const { batches, commit, endNext } = heldCommit();
    const work = createBatcher(commit, { lingerMs: () => 50 });
    const done = [work(1)];
    await nextTick();
    done.push(work(2));
    expect(batches).toEqual([]);
    await vi.waitFor(() => expect(batches).toEqual([[1, 2]]));
    endNext();
    expect(await Promise.all(done)).toEqual([1, 2]);
  });

  it('When a full batch is waiting, then it does not wait for more items', async () => {
    vi.useRealTimers();
    const { batches, commit, endNext } = heldCommit();
    const work = createBatcher(commit, { maxBatch: 2, lingerMs: () => 50 });
    const done = [work(1), work(2), work(3)];
    await nextTick();
    expect(batches).toEqual([[1, 2]]);
    endNext();
    await nextTick();
    expect(batches).toEqual([[1, 2]]);
    await vi.waitFor(() => expect(batches).toEqual([[1, 2], [3]]));
    endNext();
    expect(await Promise.all(done)).toEqual([1, 2, 3]);
  });

  it('When the queue is full, then more items are rejected at once', async () => {
    const { commit, endNext } = heldCommit();
    const work = createBatcher(commit, { maxWaiting: 2 });
    const first = work(1);
    await nextTick();
    const taken = [first, work(2), work(3)];
    await expect(work(4)).rejects.toThrow(QueueFullError);
    endNext();
    await taken[0];
    endNext();
    expect(await Promise.all(taken)).toEqual([1, 2, 3]);
  });
});

describe('an unresponsive sidecar', () => {
  it('When the maximum of calls waits for it, then more fail at once, until some have ended', async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve));
    const sidecar = createSidecarClient((silent.address() as AddressInfo).port);
    const ask = () => sidecar.invoke('orders', { method: 'GET', path: '/', timeoutMs: 500 });
    const waiting = Promise.allSettled(Array.from({ length: 2_048 }, ask));
    await expect(ask()).rejects.toMatchObject({ status: 503, code: 'TOO_MANY_CALLS' });
    await waiting;
    await expect(ask()).rejects.toMatchObject({ code: 'SIDECAR_UNREACHABLE' });
    silent.closeAllConnections();
    silent.close();
    await sidecar.close();
  });
});

describe('transient errors', () => {
  it.each<[string, Error, number, string | undefined, boolean]>([
    ['a service is not able to', unavailable(), 503, '1', true],
    ['there is too much to do', new OverloadedError('Too much.'), 503, '1', false],
    ['a queue is full', new QueueFullError(), 503, '1', false],
    ['there is far too much to do', new OverloadedError('Too much.', 12), 503, '12', false],
    ['the sidecar fails', new SidecarError('read', 500, 'ERR_STATE_GET'), 503, '1', true],
    ['the sidecar rejects the call', new SidecarError('read', 429, 'UNKNOWN'), 503, '1', true],
    ['every race is lost', new ConflictError('lost'), 503, '1', true],
    ['the payment provider is unavailable', new ProviderError('provider unreachable'), 503, '1', true],
    ['a client exceeds a limit', new ProblemError(429, 'too-many-requests', 'Slower.'), 429, '1', false],
    ['something does not exist', notFound('order'), 404, undefined, false],
    ['it is our fault', new Error('oops'), 500, undefined, true],
  ])('When %s, then the response says so', async (_what, error, status, retryAfter, isLogged) => {
    const service = await startService((deps) =>
      createService(deps, {
        routers: [
          () => {
            throw error;
          },
        ],
      }),
    );
    onTestFinished(() => service.stop());
    const response = await service.http.get('/');
    expect([response.status, response.headers['retry-after']]).toEqual([status, retryAfter]);
    expect(service.logs.some(({ level }) => level === 'error')).toBe(isLogged);
  });

  it('When a service is not ready, then its probe reports it', async () => {
    const service = await startService((deps) => createService(deps, { routers: [], isReady: () => false }));
    onTestFinished(() => service.stop());
    const { status, headers } = await service.http.get('/readyz');
    expect([status, headers['retry-after']]).toEqual([503, '1']);
  });
});
