import type { RequestHandler } from 'express';
import { z } from 'zod';
import { withoutTrace } from '../../shared/telemetry/request-context.ts';
import { cached } from '../../shared/util/cached.ts';
import { retryHeaders } from '../../shared/http/problem.ts';
import type { Sidecar } from '../../shared/dapr/sidecar.ts';
import type { Health } from '../api.ts';
import { SERVICES } from '../../services.ts';

/** The services that are required to accept an order. Without the others, orders wait. */
const REQUIRED_SERVICES: ReadonlySet<string> = new Set(['users', 'inventory', 'orders']);
/** The timeout of a probe. */
const PROBE_TIMEOUT_MS = 2_000;
/** How long a result is cached, so that callers cannot cause more probes. */
const CACHE_TTL_MS = 1_000;

const PROBED = SERVICES.map(({ name }) => name).filter((name) => name !== 'gateway');

type ServiceHealth = Health['services'][string];

const readinessSchema = z.object({ open_breakers: z.array(z.string()).optional() });

/** Handles `GET /health`: probes all services. */
export function health(sidecar: Pick<Sidecar, 'invoke'>): RequestHandler {
  const current = cached(CACHE_TTL_MS, askAll);

  async function askAll(): Promise<Health> {
    const answers = await Promise.all(PROBED.map(async (name) => [name, await ask(name)] as const));
    const down = answers.filter(([, { status }]) => status !== 'ok').map(([name]) => name);
    const services = Object.fromEntries(answers);
    if (down.some((name) => REQUIRED_SERVICES.has(name))) return { status: 'unavailable', services };
    const isDegraded = down.length > 0 || answers.some(([, { open_breakers }]) => open_breakers);
    return { status: isDegraded ? 'degraded' : 'ok', services };
  }

  async function ask(service: string): Promise<ServiceHealth> {
    const started = performance.now();
    const answer = await withoutTrace(() =>
      sidecar.invoke(service, { method: 'GET', path: '/readyz', timeoutMs: PROBE_TIMEOUT_MS }),
    ).catch(() => undefined);
    const latency_ms = Math.round(performance.now() - started);
    const { open_breakers } = readinessOf(answer?.body);
    return {
      status: answer?.status === 200 ? 'ok' : 'unavailable',
      latency_ms,
      ...(open_breakers ? { open_breakers } : {}),
    };
  }

  return async (_req, res) => {
    const answer = await current();
    const status = answer.status === 'unavailable' ? 503 : 200;
    res
      .status(status)
      .set({ 'cache-control': 'no-store', ...retryHeaders(status) })
      .json(answer);
  };
}

function readinessOf(body: Buffer | undefined): z.infer<typeof readinessSchema> {
  try {
    return readinessSchema.parse(JSON.parse(String(body)));
  } catch {
    return {};
  }
}
