import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cloudEvent } from '../../services/shared/events.ts';
import { publisher } from '../../services/shared/publisher.ts';
import {
  SidecarError,
  type SidecarRequest,
  type SidecarResponse,
} from '../../services/shared/sidecar-call.ts';
import { createSidecar, type Sidecar } from '../../services/shared/sidecar.ts';
import { stateStore } from '../../services/shared/state.ts';
import { startFakeSidecar, type FakeSidecar } from '../support/fake-sidecar.ts';

let fake: FakeSidecar;
let sidecar: Sidecar;
beforeEach(async () => {
  fake = await startFakeSidecar();
  sidecar = createSidecar({ port: fake.port });
});
afterEach(async () => {
  await sidecar.close();
  await fake.close();
});

const put = (key: string, value: unknown, etag?: string) =>
  sidecar.state.write({ op: 'put', key, value, etag });
const event = (id: string) =>
  cloudEvent({ id, source: 'test', type: 'order.paid', subject: id, time: '2026-01-01T00:00:00Z', data: {} });

/** Answers every call alike, and notes what was asked. */
function recording(status: number, body = '') {
  const calls: SidecarRequest[] = [];
  const request = async (call: SidecarRequest): Promise<SidecarResponse> => {
    calls.push(call);
    await new Promise((resolve) => void setImmediate(resolve));
    return { status, headers: { etag: '1' }, body: Buffer.from(body) };
  };
  return { calls, request };
}

describe('reads at the same time', () => {
  it('When they differ, then each gets its own document, and what is not there is not', async () => {
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

  it('When many come while one is under way, then they share the next call', async () => {
    const { calls, request } = recording(204);
    const state = stateStore(request);
    await Promise.all(Array.from({ length: 20 }, (_, n) => state.get(`k${n}`)));
    expect(calls.map(({ method }) => method)).toEqual(['GET', 'POST']);
  });
});

describe('writes at the same time', () => {
  it('When one of them loses a race, then only that one fails', async () => {
    await put('taken', 1);
    const outcomes = await Promise.allSettled([put('a', 1), put('b', 1), put('taken', 2), put('c', 1)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(fake.documents.get('taken')?.value).toBe(1);
    expect([...fake.documents.keys()].toSorted()).toEqual(['a', 'b', 'c', 'taken']);
  });

  it('When two are for the same new document, then one of them is first', async () => {
    const outcomes = await Promise.allSettled([put('x', 0), put('same', 1), put('same', 2)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(fake.documents.get('same')?.value).toBe(1);
  });

  it('When the store is out of reach, then all that went together fail', async () => {
    const { request } = recording(500, '{"errorCode":"ERR_STATE_TRANSACTION"}');
    const state = stateStore(request);
    const outcomes = await Promise.allSettled(
      ['a', 'b', 'c'].map((key) => state.write({ op: 'put', key, value: 1 })),
    );
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
  });
});

describe('events said at the same time', () => {
  it('When they are for one topic, then all are published, the later ones together', async () => {
    const { calls, request } = recording(204);
    const publish = publisher(request);
    await Promise.all(['1', '2', '3'].map((id) => publish(event(id))));
    expect(calls.map(({ path }) => path)).toEqual([
      '/v1.0/publish/pubsub/order.paid',
      '/v1.0-alpha1/publish/bulk/pubsub/order.paid',
    ]);
    expect(JSON.parse(String(calls[1]?.body))).toMatchObject([
      { event: { id: '2' } },
      { event: { id: '3' } },
    ]);
  });

  it('When some of them fail, then only who said those is told', async () => {
    const { request } = recording(500, '{"failedEntries":[{"entryId":"1"}]}');
    const publish = publisher(async (call) =>
      call.path.includes('/bulk/') ? request(call) : { status: 204, headers: {}, body: Buffer.alloc(0) },
    );
    const outcomes = await Promise.allSettled(['1', '2', '3', '4'].map((id) => publish(event(id))));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(outcomes[2]).toMatchObject({ reason: expect.any(SidecarError) as unknown });
  });

  it('When the broker is out of reach, then all are told', async () => {
    fake.fail('publish', 2);
    const outcomes = await Promise.allSettled(['1', '2', '3'].map((id) => sidecar.publish(event(id))));
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
  });
});
