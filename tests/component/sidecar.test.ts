import { setImmediate as nextTick } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { cloudEvent } from '../../services/shared/dapr/cloud-event.ts';
import { defineEvents } from '../../services/shared/schemas/published-events.ts';
import { createPublisher } from '../../services/shared/dapr/publisher.ts';
import {
  ConflictError,
  SidecarError,
  type SidecarRequest,
  type SidecarResponse,
} from '../../services/shared/dapr/sidecar-call.ts';
import { createService } from '../../services/shared/runtime/service-app.ts';
import type { Sidecar } from '../../services/shared/dapr/sidecar.ts';
import { createStateStore } from '../../services/shared/dapr/state-store.ts';
import { startFakeSidecar, type FakeSidecar } from '../support/fake-sidecar.ts';
import { createSidecarClient, startService } from '../support/service-under-test.ts';
import { waitFor } from '../support/wait.ts';

let fake: FakeSidecar;
let sidecar: Sidecar;
beforeEach(async () => {
  fake = await startFakeSidecar();
  sidecar = createSidecarClient(fake.port);
});
afterEach(async () => {
  await sidecar.close();
  await fake.close();
});

const put = (key: string, value: unknown, etag?: string) =>
  sidecar.state.write({ op: 'put', key, value, etag });
const event = (id: string) =>
  cloudEvent(defineEvents('test', { 'order.paid': z.object({}) }), {
    id,
    type: 'order.paid',
    subject: id,
    time: '2026-01-01T00:00:00Z',
    data: {},
  });

/** Responds to every call alike, and records the calls. */
function recording(status: number, body = '') {
  const calls: SidecarRequest[] = [];
  const request = async (call: SidecarRequest): Promise<SidecarResponse> => {
    calls.push(call);
    await new Promise((resolve) => void setImmediate(resolve));
    return { status, headers: { etag: '1' }, body: Buffer.from(body) };
  };
  return { calls, request };
}

/** Behaves like a broken connection to PostgreSQL: a bulk read finds nothing, a single read has this status. */
const forgetting =
  (status: number): Parameters<typeof createStateStore>[0] =>
  async ({ method, body }) => {
    const { keys } = JSON.parse(String(body ?? '{}')) as { keys?: string[] };
    const answer = method === 'POST' ? keys?.map((key) => ({ key })) : 'alone';
    return {
      status: method === 'POST' ? 200 : status,
      headers: { etag: '1' },
      body: Buffer.from(JSON.stringify(answer)),
    };
  };

describe('concurrent reads', () => {
  it('When they differ, then each gets its own document, and a missing one is undefined', async () => {
    await Promise.all(['a', 'b', 'c'].map((key) => put(key, { key })));
    const found = await Promise.all(['a', 'b', 'missing', 'c', 'a'].map((key) => sidecar.state.get(key)));
    expect(found.map((stored) => stored?.value)).toEqual([
      { key: 'a' },
      { key: 'b' },
      undefined,
      { key: 'c' },
      { key: 'a' },
    ]);
  });

  it('When many come while one is in progress, then they share the next call', async () => {
    const keys = Array.from({ length: 20 }, (_, n) => `k${n}`);
    const { calls, request } = recording(
      200,
      JSON.stringify(keys.map((key) => ({ key, data: 1, etag: '1' }))),
    );
    const state = createStateStore(request);
    const first = state.get('first');
    await nextTick();
    await Promise.all([first, ...keys.map((key) => state.get(key))]);
    expect(calls.map(({ method }) => method)).toEqual(['GET', 'POST']);
  });

  it('When they come in one tick, then they share one call', async () => {
    const rows = ['a', 'b'].map((key) => ({ key, data: 1, etag: '1' }));
    const { calls, request } = recording(200, JSON.stringify(rows));
    const state = createStateStore(request);
    await Promise.all([state.get('a'), state.get('b')]);
    expect(calls.map(({ path }) => path)).toEqual(['/v1.0/state/statestore/bulk']);
  });

  it('When the response lacks existing documents, then they are still found', async () => {
    const state = createStateStore(forgetting(200));
    const found = await Promise.all(['a', 'b'].map((key) => state.get(key)));
    expect(found).toEqual([
      { value: 'alone', etag: '1' },
      { value: 'alone', etag: '1' },
    ]);
    expect(await state.getMany(['a'])).toEqual(new Map([['a', found[0]]]));
  });

  it('When it is unclear whether they exist, then the read fails', async () => {
    const state = createStateStore(forgetting(500));
    await expect(Promise.all([state.get('a'), state.get('b')])).rejects.toThrow('read state');
    await expect(state.getMany(['a'])).rejects.toThrow('read state');
  });
});

describe('concurrent writes', () => {
  it('When one of them has a conflict, then only that one fails', async () => {
    await put('taken', 1);
    const outcomes = await Promise.allSettled([put('a', 1), put('b', 1), put('taken', 2), put('c', 1)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(fake.documents.get('taken')?.value).toBe(1);
    expect([...fake.documents.keys()].toSorted()).toEqual(['a', 'b', 'c', 'taken']);
  });

  it('When one of many has a conflict, then the others still share their calls', async () => {
    await put('taken', 1);
    const calls: string[] = [];
    fake.onStateCall(({ op }) => void calls.push(op));
    const keys = Array.from({ length: 32 }, (_, n) => (n === 20 ? 'taken' : `k${n}`));
    const outcomes = await Promise.allSettled(keys.map((key) => put(key, 2)));
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    expect(calls).toEqual(['write', 'read', 'write']);
  });

  it('When no read shows which one has the conflict, then each is written alone', async () => {
    const answerTo = (path: string, body: string) => {
      if (path.endsWith('/bulk')) return 204;
      return path.endsWith('/transaction') || body.includes('"b"') ? 409 : 204;
    };
    const state = createStateStore(async ({ path, body }) =>
      Promise.resolve({ status: answerTo(path, String(body)), headers: {}, body: Buffer.from('') }),
    );
    const outcomes = await Promise.allSettled(
      ['a', 'b', 'c'].map((key) => state.write({ op: 'put', key, value: 1 })),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('When two create the same document, then one of them succeeds', async () => {
    const outcomes = await Promise.allSettled([put('x', 0), put('same', 1), put('same', 2)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(fake.documents.get('same')?.value).toBe(1);
  });

  it('When the store is unavailable, then the whole batch fails', async () => {
    const { request } = recording(500, '{"errorCode":"ERR_STATE_TRANSACTION"}');
    const state = createStateStore(request);
    const outcomes = await Promise.allSettled(
      ['a', 'b', 'c'].map((key) => state.write({ op: 'put', key, value: 1 })),
    );
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
  });
});

describe('documents that expire', () => {
  it('When a write has a time to live, then the store gets it, alone and in a transaction', async () => {
    const write = (key: string, ttlSeconds?: number) => ({ op: 'put', key, value: 1, ttlSeconds }) as const;
    await sidecar.state.write(write('alone', 60));
    await sidecar.state.write(write('together', 3_600), write('stays'));
    expect([...fake.documents].map(([key, { ttlSeconds }]) => [key, ttlSeconds])).toEqual([
      ['alone', 60],
      ['together', 3_600],
      ['stays', undefined],
    ]);
  });
});

describe('broadcasts', () => {
  it('When an event is broadcast, then it goes to the broadcast component, and not to the broker', async () => {
    await Promise.all(['1', '2', '3'].map((id) => sidecar.broadcast(event(id))));
    expect(fake.broadcasts.map(({ id }) => id)).toEqual(['1', '2', '3']);
    expect(fake.published).toEqual([]);
  });

  it('When it fails, then the publisher gets the error', async () => {
    fake.fail('broadcast');
    await expect(sidecar.broadcast(event('1'))).rejects.toThrow(SidecarError);
  });
});

describe('circuit breakers', () => {
  const metric = (target: string, status: string, value: number, policy = 'circuitbreaker') =>
    `dapr_resiliency_cb_state{app_id="orders",name="resiliency",namespace="",policy="${policy}",status="${status}",target="${target}"} ${value}`;

  it.each([
    ['the metrics are empty', [], []],
    ['all are closed', [metric('app_inventory', 'closed', 1), metric('app_inventory', 'open', 0)], []],
    [
      'one is open',
      [
        metric('app_inventory', 'open', 1),
        metric('app_inventory', 'closed', 0),
        metric('app_users', 'closed', 1),
      ],
      ['app_inventory'],
    ],
    ['one is tried again', [metric('app_inventory', 'half-open', 1), metric('app_inventory', 'open', 0)], []],
    [
      'several are open, one of them in two ways',
      [
        metric('statestore', 'open', 1, 'b'),
        metric('app_users', 'open', 1),
        metric('statestore', 'open', 1, 'a'),
      ],
      ['app_users', 'statestore'],
    ],
    [
      'other metrics are about open things',
      ['dapr_other{status="open",target="app_users"} 1', '# HELP dapr_resiliency_cb_state The state'],
      [],
    ],
  ])('When %s, then the breakers are right', async (_what, lines, open) => {
    fake.metrics = ['# TYPE dapr_resiliency_cb_state gauge', ...lines, ''].join('\n');
    const watching = createSidecarClient(fake.port, { metricsPort: fake.port });
    expect(await watching.openBreakers()).toEqual(open);
    await watching.close();
  });

  it('When the metrics are unavailable, or have no address, then no breaker is known', async () => {
    const stopped = await startFakeSidecar();
    await stopped.close();
    const watching = createSidecarClient(fake.port, { metricsPort: stopped.port });
    expect([await watching.openBreakers(), await sidecar.openBreakers()]).toEqual([[], []]);
    await watching.close();
  });

  it('When one is open, then /readyz shows it, and the service is still ready', async () => {
    const service = await startService((deps) => createService(deps, { routers: [] }));
    onTestFinished(() => service.stop());
    expect((await service.http.get('/readyz')).body).toEqual({ status: 'ready' });
    service.sidecar.metrics = metric('app_inventory', 'open', 1);
    const { status, body } = await waitFor('it shows', () => service.http.get('/readyz'), {
      until: (answer) => 'open_breakers' in answer.body,
    });
    expect([status, body]).toEqual([200, { status: 'ready', open_breakers: ['app_inventory'] }]);
  });

  it('When the service is not ready, then /readyz still shows the breakers', async () => {
    const service = await startService((deps) => createService(deps, { routers: [], isReady: () => false }));
    onTestFinished(() => service.stop());
    service.sidecar.metrics = metric('pubsub', 'open', 1);
    const { status, body } = await service.http.get('/readyz');
    expect([status, body]).toMatchObject([
      503,
      { type: 'urn:sidecart:problem:unavailable', open_breakers: ['pubsub'] },
    ]);
  });
});

describe('a slow sidecar', () => {
  it('When a response begins and does not end, then the call times out', async () => {
    const slow = createServer((_req, res) => void res.writeHead(200).write('half'));
    await new Promise<void>((resolve) => void slow.listen(0, '127.0.0.1', resolve));
    const { port } = slow.address() as AddressInfo;
    const waiting = createSidecarClient(port);
    await expect(waiting.invoke('orders', { method: 'GET', path: '/', timeoutMs: 200 })).rejects.toThrow(
      'SIDECAR_UNREACHABLE',
    );
    slow.closeAllConnections();
    slow.close();
  });
});

describe('an incomplete response', () => {
  it.each([
    ['nothing', 201, ''],
    ['half of it', 200, '{"order_id":"1","items":[{"quantity":1}'],
    ['half of a problem', 409, '{"type":"urn:'],
  ])('When %s came, then the outcome is unknown', async (_, status, text) => {
    const type = status < 400 ? 'application/json; charset=utf-8' : 'application/problem+json';
    const cut = createServer((_req, res) => void res.writeHead(status, { 'content-type': type }).end(text));
    await new Promise<void>((resolve) => void cut.listen(0, '127.0.0.1', resolve));
    const { port } = cut.address() as AddressInfo;
    const asking = createSidecarClient(port);
    onTestFinished(async () => {
      await asking.close();
      cut.close();
    });
    await expect(asking.invoke('orders', { method: 'POST', path: '/' })).rejects.toMatchObject({
      status: 502,
      code: 'ANSWER_CUT_SHORT',
    });
  });
});

describe('a write with a conflict', () => {
  it.each([
    [409, ''],
    [500, '{"message":"failed: possible etag mismatch"}'],
    [500, '{"message":"failed saving state: no item was updated"}'],
  ])('When the store responds with %i %s, then it is a conflict', async (status, body) => {
    const state = createStateStore(recording(status, body).request);
    await expect(state.write({ op: 'put', key: 'a', value: 1 })).rejects.toThrow(ConflictError);
  });

  it('When the store fails otherwise, then it is not a conflict', async () => {
    const state = createStateStore(recording(500, '{"message":"database is locked"}').request);
    await expect(state.write({ op: 'put', key: 'a', value: 1 })).rejects.toThrow(SidecarError);
  });
});

describe('concurrent events', () => {
  it('When they are for one topic, then all are published, the later ones in one call', async () => {
    const { calls, request } = recording(204);
    const publish = createPublisher(request, 'pubsub', 0);
    const first = publish(event('1'));
    await nextTick();
    await Promise.all([first, ...['2', '3'].map((id) => publish(event(id)))]);
    expect(calls.map(({ path }) => path)).toEqual([
      '/v1.0/publish/pubsub/order.paid',
      '/v1.0-alpha1/publish/bulk/pubsub/order.paid',
    ]);
    expect(JSON.parse(String(calls[1]?.body))).toMatchObject([
      { event: { id: '2' } },
      { event: { id: '3' } },
    ]);
  });

  it('When some of them fail, then only their publishers get an error', async () => {
    const { request } = recording(500, '{"failedEntries":[{"entryId":"1"}]}');
    const publish = createPublisher(
      async (call) =>
        call.path.includes('/bulk/') ? request(call) : { status: 204, headers: {}, body: Buffer.alloc(0) },
      'pubsub',
      0,
    );
    const outcomes = await Promise.allSettled(['1', '2', '3'].map((id) => publish(event(id))));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(outcomes[1]).toMatchObject({ reason: expect.any(SidecarError) as unknown });
  });

  it('When the broker is unavailable, then all publishers get an error', async () => {
    fake.fail('publish', 2);
    const outcomes = await Promise.allSettled(['1', '2', '3'].map((id) => sidecar.publish(event(id))));
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
  });
});

describe('an event that is republished', () => {
  const published = () => fake.published.map(({ id }) => id);

  it('When it was published a moment ago, then it is not published again', async () => {
    for (const id of ['1', '2', '1', '1']) await sidecar.publish(event(id));
    expect(published()).toEqual(['1', '2']);
  });

  it('When publishing failed, then it is published again', async () => {
    fake.fail('publish');
    await expect(sidecar.publish(event('1'))).rejects.toThrow(SidecarError);
    await sidecar.publish(event('1'));
    expect(published()).toEqual(['1']);
  });

  it('When it is of another type, then it is another event', async () => {
    await sidecar.publish(event('1'));
    await sidecar.publish({ ...event('1'), type: 'order.shipped' });
    expect(published()).toEqual(['1', '1']);
  });

  it('When the caller forces it, then it is published at once', async () => {
    await sidecar.publish(event('1'));
    await sidecar.publish(event('1'), { again: true });
    await sidecar.publish(event('1'));
    expect(published()).toEqual(['1', '1']);
  });

  it('When some time has passed, then it is published again', async () => {
    const client = createSidecarClient(fake.port, { deduplicationWindowMs: 20 });
    onTestFinished(client.close);
    await client.publish(event('1'));
    const ids = await waitFor(
      'the event is published again',
      () => client.publish(event('1')).then(published),
      {
        until: (all) => all.length > 1,
      },
    );
    expect(ids).toEqual(['1', '1']);
  });
});
