import type { Express } from 'express';
import request from 'supertest';
import { startTracing } from '../../services/shared/telemetry/tracing.ts';
import type { CloudEvent } from '../../services/shared/dapr/cloud-event.ts';
import { createLogger } from '../../services/shared/telemetry/logger.ts';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import type { ServiceDeps } from '../../services/shared/runtime/service-app.ts';
import { createSidecar, type Sidecar } from '../../services/shared/dapr/sidecar.ts';
import { buildEvent } from './events.ts';
import { APP_API_TOKEN, DAPR_API_TOKEN, startFakeSidecar, type FakeSidecar } from './fake-sidecar.ts';

/** A service behind its real HTTP door, beside a fake sidecar. */
export interface ServiceUnderTest {
  sidecar: FakeSidecar;
  /** A client of the door that has the sidecar's token: `door.get('/api/...')`. */
  door: Door;
  /** The door of another replica: the same sidecar, and nothing of what the first has in memory. */
  replica: () => Door;
  /** What the service logged, parsed. */
  logs: Record<string, unknown>[];
  /** Delivers an event as a sidecar would; gives the status that the service answered (SUCCESS, RETRY, DROP). */
  deliver: (type: string, data: unknown, more?: Partial<CloudEvent>) => Promise<string>;
  /** Fires a job as a sidecar would; gives the HTTP status. */
  fire: (job: string) => Promise<number>;
  /** The events of one type published so far. */
  said: (type: string) => { id: string; data: Record<string, unknown> }[];
  stop: () => Promise<void>;
}

export type Door = ReturnType<typeof request.agent>;

/** The door of a service, for whoever has its sidecar's token. */
export const doorOf = (app: Express): Door => request.agent(app).set('dapr-api-token', APP_API_TOKEN);

/** A client of the fake sidecar. */
export const sidecarAt = (
  port: number,
  more: { metricsPort?: number; deduplicationWindowMs?: number } = {},
): Sidecar => createSidecar({ port, apiToken: DAPR_API_TOKEN, ...more });

let tracing = false;

/**
 * Builds the service with the dependencies that every service has; `build` adds its own.
 *
 * @param options.deduplicationWindowMs for how long its sidecar's client does not publish an event again; not given: it always does
 */
export async function startService(
  build: (deps: ServiceDeps) => Express,
  { deduplicationWindowMs = 0 }: { deduplicationWindowMs?: number } = {},
): Promise<ServiceUnderTest> {
  if (!tracing) startTracing('test', { ZIPKIN_ENDPOINT: undefined, TRACES_PER_SECOND: 10 });
  tracing = true;
  const fake = await startFakeSidecar();
  const logs: Record<string, unknown>[] = [];
  const log = createLogger('test', 'debug', {
    write: (line) => void logs.push(JSON.parse(line) as Record<string, unknown>),
  });
  const clients: Sidecar[] = [];
  function replica(): Door {
    const sidecar = sidecarAt(fake.port, { metricsPort: fake.port, deduplicationWindowMs });
    clients.push(sidecar);
    return doorOf(build({ log, sidecar, appApiToken: APP_API_TOKEN, metrics: createMetrics() }));
  }
  const door = replica();
  return {
    sidecar: fake,
    door,
    replica,
    logs,
    async deliver(type, data, more) {
      const event = buildEvent(type, data, more);
      const response = await door
        .post(`/events/${type}`)
        .set('content-type', 'application/cloudevents+json')
        .send(JSON.stringify(event));
      return (response.body as { status: string }).status;
    },
    fire: async (job) => (await door.post(`/job/${job}`).send({})).status,
    said: (type) =>
      fake.published
        .filter((event) => event.type === type)
        .map((event) => ({ id: event.id, data: event.data as Record<string, unknown> })),
    async stop() {
      await Promise.all(clients.map((sidecar) => sidecar.close()));
      await fake.close();
    },
  };
}

/** The headers by which the gateway names a caller. */
export function as(id: string, role: 'customer' | 'admin' = 'customer'): Record<string, string> {
  return { 'x-caller-id': id, 'x-caller-role': role };
}

/** The header by which the gateway tells the client's network. */
export const from = (network: string): Record<string, string> => ({ 'x-client-network': network });

/** Which problem it is that was answered: the last part of its type. */
export const slugOf = (response: { body: unknown }): string | undefined =>
  (response.body as { type: string }).type.split(':').at(-1);
