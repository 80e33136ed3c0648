import { createRateLimitStore } from '../../services/gateway/limits/rate-limit-store.ts';
import type { GatewayDeps } from '../../services/gateway/app.ts';

/** The dependencies that only the gateway has. Tests do not reach these limits by accident. */
export function gatewayOptions(): Omit<GatewayDeps, 'log' | 'sidecar' | 'metrics' | 'appApiToken'> {
  return {
    now: () => new Date(),
    clock: () => performance.now(),
    // Allocating the default number of counters takes half of the start time.
    rateLimitStore: createRateLimitStore(undefined, 1_000),
    limits: () => ({ default: 1_000_000, api: 1_000_000, auth: 1_000_000 }),
    corsOrigins: [],
    trustedProxies: [],
    stopping: new AbortController().signal,
  };
}
