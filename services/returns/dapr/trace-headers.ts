import type { ClientRequest } from 'node:http';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { outgoingHeaders } from '../../shared/telemetry/request-context.ts';

/**
 * Adds the trace and the request id to every call of the sidecar at this port. `@dapr/dapr` sends no trace headers, and its calls
 * of state and pub/sub accept none. Node.js announces each request before it sends it, in the context of the caller.
 *
 * @returns a function that stops it
 */
export function addTraceHeaders(daprPort: number): () => void {
  const onCreated = (message: unknown) => {
    const { request } = message as { request: ClientRequest };
    if (request.getHeader('host') !== `127.0.0.1:${daprPort}`) return;
    for (const [name, value] of Object.entries(outgoingHeaders())) request.setHeader(name, value);
  };
  subscribe('http.client.request.created', onCreated);
  return () => void unsubscribe('http.client.request.created', onCreated);
}
