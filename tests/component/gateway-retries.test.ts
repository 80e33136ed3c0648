import { describe, expect, it } from 'vitest';
import { invokeWithRetry } from '../../services/gateway/invoke-with-retry.ts';
import { SidecarError, type SidecarRequest } from '../../services/shared/dapr/sidecar-call.ts';

describe('Given a service whose replica has just stopped', () => {
  const RESPONSE = { status: 200, headers: {}, body: Buffer.from('{}') };

  /** Sends the request through a sidecar that finds no replica `failures` times. Returns the number of calls. */
  async function send(request: Partial<SidecarRequest>, failures: number) {
    let calls = 0;
    const invoke = async () => {
      calls += 1;
      if (calls <= failures) throw new SidecarError('invoke orders', 500, 'ERR_DIRECT_INVOKE');
      return RESPONSE;
    };
    const result = await invokeWithRetry({ invoke }, 'orders', {
      method: 'GET',
      path: '/',
      ...request,
    }).catch((error: unknown) => error);
    return { calls, succeeded: result === RESPONSE };
  }

  it.each<[what: string, request: Partial<SidecarRequest>]>([
    ['a GET', { method: 'GET' }],
    ['a PUT', { method: 'PUT' }],
    ['a POST with a key', { method: 'POST', headers: { 'idempotency-key': 'k' } }],
    [
      'a PUT with a precondition and a key',
      { method: 'PUT', headers: { 'if-match': '"1"', 'idempotency-key': 'k' } },
    ],
  ])('When %s fails twice, then it is repeated twice', async (_what, request) => {
    expect(await send(request, 2)).toEqual({ calls: 3, succeeded: true });
  });

  it.each<[what: string, request: Partial<SidecarRequest>]>([
    ['a POST', { method: 'POST' }],
    ['a DELETE', { method: 'DELETE' }],
    ['a PUT with a precondition', { method: 'PUT', headers: { 'if-match': '"1"' } }],
    ['an aborted GET', { method: 'GET', signal: AbortSignal.abort() }],
  ])('When %s fails, then it is not repeated', async (_what, request) => {
    expect(await send(request, 1)).toEqual({ calls: 1, succeeded: false });
  });

  it('When no call succeeds, then the retries end', async () => {
    expect(await send({}, Infinity)).toEqual({ calls: 7, succeeded: false });
  });
});
