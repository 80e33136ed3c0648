import type { RunningApp } from '../../deploy/local/system/app-processes.ts';

/** Calls a service's sidecar as that service would, with its token. */
export function callSidecar(app: RunningApp, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set('dapr-api-token', app.daprApiToken());
  return fetch(`http://127.0.0.1:${app.daprHttpPort}${path}`, {
    signal: AbortSignal.timeout(10_000),
    ...init,
    headers,
  });
}

/** Publishes, as `payments`, an event that no handler can process. It becomes a dead letter. */
export function publishUnprocessable(payments: RunningApp, id: string): Promise<Response> {
  const data = { order_id: 'nonsense' };
  return callSidecar(payments, '/v1.0/publish/pubsub/payment.failed', {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify({ specversion: '1.0', id, source: 'test', type: 'payment.failed', data }),
  });
}
