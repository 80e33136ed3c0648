import { createMemoryStore } from '../../services/gateway/limits/rate-limit-store.ts';
import type { GatewayDeps } from '../../services/gateway/app.ts';

/** What a gateway needs beside the dependencies of every service; limits that no test reaches by the way. */
export function gatewayOptions(): Omit<GatewayDeps, 'log' | 'sidecar' | 'metrics' | 'appApiToken'> {
  return {
    now: () => new Date(),
    clock: () => performance.now(),
    // To take the room for a hundred thousand is half of the work of starting a gateway.
    rateLimitStore: createMemoryStore(1_000),
    limits: { default: 1_000_000, api: 1_000_000, auth: 1_000_000 },
    corsOrigins: [],
    trustedProxies: [],
    stopping: new AbortController().signal,
  };
}
