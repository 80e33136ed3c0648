import { trace } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSdkSidecar, type SdkSidecar } from '../../services/returns/dapr/sdk-sidecar.ts';
import { ConflictError, SidecarError } from '../../services/shared/dapr/sidecar-call.ts';
import { createLogger } from '../../services/shared/telemetry/logger.ts';
import { runInRequest } from '../../services/shared/telemetry/request-context.ts';
import { startTracing } from '../../services/shared/telemetry/tracing.ts';
import { DAPR_API_TOKEN, startFakeSidecar, type FakeSidecar } from '../support/fake-sidecar.ts';

/** The client of `returns`, which has `@dapr/dapr` behind it, behaves as our own client does. */

const log = createLogger('test', 'silent');
let fake: FakeSidecar;
let sidecar: SdkSidecar;
beforeEach(async () => {
  await startTracing('test', { TRACES_PER_SECOND: 10 }, log);
  fake = await startFakeSidecar();
  sidecar = createSdkSidecar({ port: fake.port, apiToken: DAPR_API_TOKEN, log });
});
afterEach(async () => {
  await sidecar.close();
  await fake.close();
});

const event = {
  specversion: '1.0',
  id: '1',
  source: 'returns',
  type: 'return.requested',
  subject: 's',
  time: '2026-01-12T09:30:00.000Z',
  datacontenttype: 'application/json',
  data: {},
} as const;
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const inRequest = <T>(fn: () => T) => runInRequest({ traceparent: TRACEPARENT }, { request_id: 'r1' }, fn);

describe('state', () => {
  const put = (value: unknown, etag?: string) => sidecar.state.write({ op: 'put', key: 'a', value, etag });

  it('When a document is saved, then it is loaded with its ETag, and the first writer wins', async () => {
    expect(await sidecar.state.get('a')).toBeUndefined();
    await put({ n: 1 });
    const stored = await sidecar.state.get<{ n: number }>('a');
    expect(stored?.value).toEqual({ n: 1 });
    await put({ n: 2 }, stored?.etag);
    await expect(put({ n: 3 }, stored?.etag)).rejects.toThrow(ConflictError);
    await expect(put({ n: 3 })).rejects.toThrow(ConflictError);
    expect((await sidecar.state.getMany(['a', 'b'])).size).toBe(1);
  });

  it('When documents are saved together, then all are saved or none', async () => {
    const both = (etag?: string) =>
      sidecar.state.write(
        { op: 'put', key: 'a', value: 1, etag, ttlSeconds: 60 },
        { op: 'put', key: 'b', value: 2 },
      );
    await both();
    await expect(both((await sidecar.state.get('a'))?.etag)).rejects.toThrow(ConflictError);
    const stored = await sidecar.state.get('b');
    await sidecar.state.write({ op: 'delete', key: 'b', etag: stored?.etag ?? '' });
    expect([...fake.documents.keys()]).toEqual(['a']);
    expect(fake.documents.get('a')?.ttlSeconds).toBe(60);
  });

  it('When the store fails, then reading and writing throw, and name no document', async () => {
    fake.fail('state', 2);
    await expect(sidecar.state.get('a')).rejects.toThrow(SidecarError);
    await expect(put(1)).rejects.toThrow(/ERR_FAKE/);
  });
});

describe('pub/sub', () => {
  it('When an event is published in a request, then it has the trace of the request', async () => {
    await inRequest(() => sidecar.publish(event));
    expect(fake.published).toEqual([
      { ...event, traceparent: expect.stringContaining('0af7651916cd43dd') as string },
    ]);
  });

  it('When the broker fails, then publishing throws', async () => {
    fake.fail('publish');
    await expect(sidecar.publish(event)).rejects.toThrow(SidecarError);
  });
});

describe('invocation', () => {
  it('When a service is called, then the call has the trace and the request id', async () => {
    fake.answer('payments', () => ({ status: 200, body: { paid: true } }));
    const body = JSON.stringify({ amount: 1 });
    const call = { method: 'PUT', path: '/refunds/1/2', body } as const;
    const response = await inRequest(() => sidecar.invoke('payments', call));
    expect([response.status, JSON.parse(response.body.toString())]).toEqual([200, { paid: true }]);
    const [recorded] = fake.calls;
    expect(recorded).toMatchObject({ target: 'payments', method: 'PUT', body: { amount: 1 } });
    expect(recorded?.headers['traceparent']).toContain('0af7651916cd43dd');
    expect(recorded?.headers['x-request-id']).toBe('r1');
    expect(trace.getActiveSpan()).toBeUndefined();
  });

  it('When a service refuses, then its status and problem are the response', async () => {
    const problem = { type: 'urn:sidecart:problem:nothing-captured', status: 409 };
    fake.answer('payments', () => ({ status: 409, body: problem }));
    const response = await sidecar.invoke('payments', { method: 'GET', path: '/x' });
    expect([response.status, JSON.parse(response.body.toString())]).toEqual([409, problem]);
  });

  it('When there is no such service, then the call throws', async () => {
    await expect(sidecar.invoke('nobody', { method: 'GET', path: '/x' })).rejects.toThrow(SidecarError);
  });
});

it('When the sidecar is gone, then calls throw', async () => {
  await sidecar.state.get('a');
  await fake.close();
  await expect(sidecar.state.get('a')).rejects.toThrow(SidecarError);
});
