import type { Router } from 'express';
import type { Sidecar } from '../shared/sidecar.ts';
import { allowOnly, exactRouter } from './edge.ts';
import { SERVICES, type Service } from './routes.ts';

/** Without these no order can be taken; without the others orders wait. */
const NEEDED: ReadonlySet<Service> = new Set(['users', 'inventory', 'orders']);
/** A service that is not ready by then counts as down. Milliseconds. */
const ANSWER_WITHIN = 2_000;
/** How long an answer is told again, so that no caller can make the gateway ask more often. Milliseconds. */
const KEPT_FOR = 1_000;

interface ServiceHealth {
  status: 'ok' | 'unavailable';
  latency_ms: number;
}

interface Health {
  status: 'ok' | 'degraded' | 'unavailable';
  services: Record<Service, ServiceHealth>;
}

/** `GET /health`: how all the services are. */
export function health(sidecar: Pick<Sidecar, 'invoke'>): Router {
  let latest: { health: Promise<Health>; until: number } | undefined;

  function current(): Promise<Health> {
    if (latest && latest.until > performance.now()) return latest.health;
    const asked = askAll();
    const kept = { health: asked, until: Infinity };
    latest = kept;
    void asked.then(() => (kept.until = performance.now() + KEPT_FOR));
    return asked;
  }

  async function askAll(): Promise<Health> {
    const answers = await Promise.all(SERVICES.map(async (name) => [name, await ask(name)] as const));
    const services = Object.fromEntries(answers) as Record<Service, ServiceHealth>;
    const down = SERVICES.filter((name) => services[name].status !== 'ok');
    if (down.length === 0) return { status: 'ok', services };
    return { status: down.some((name) => NEEDED.has(name)) ? 'unavailable' : 'degraded', services };
  }

  async function ask(service: Service): Promise<ServiceHealth> {
    const started = performance.now();
    const ready = await sidecar
      .invoke(service, { method: 'GET', path: '/readyz', timeout: ANSWER_WITHIN })
      .then(
        ({ status }) => status === 200,
        () => false,
      );
    const ms = performance.now() - started;
    return { status: ready ? 'ok' : 'unavailable', latency_ms: Math.round(ms) };
  }

  const router = exactRouter();
  router.get('/health', async (_req, res) => {
    const answer = await current();
    res
      .status(answer.status === 'unavailable' ? 503 : 200)
      .set('cache-control', 'no-store')
      .json(answer);
  });
  allowOnly(router, '/health', ['GET']);
  return router;
}
