import type { RunningApp } from '../../deploy/local/app-processes.ts';

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
