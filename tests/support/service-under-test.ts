import type { Express } from 'express';
import { randomUUID } from 'node:crypto';
import request from 'supertest';
import { startTracing } from '../../services/shared/telemetry/tracing.ts';
import type { CloudEvent } from '../../services/shared/dapr/cloud-event.ts';
import { createLogger } from '../../services/shared/telemetry/logger.ts';
import { createMetrics } from '../../services/shared/telemetry/metrics.ts';
import type { ServiceDeps } from '../../services/shared/runtime/service-app.ts';
import { createSidecar, type Sidecar } from '../../services/shared/dapr/sidecar.ts';
import type { Shard } from '../../services/shared/dapr/work-list.ts';
import { buildEvent } from './events.ts';
import { APP_API_TOKEN, DAPR_API_TOKEN, startFakeSidecar, type FakeSidecar } from './fake-sidecar.ts';

/** A service with its real HTTP routes and a fake sidecar. */
export interface ServiceUnderTest {
  sidecar: FakeSidecar;
  /** An HTTP client of the service that sends the sidecar's token: `http.get('/api/...')`. */
  http: HttpClient;
  /** Starts another replica, which shares the sidecar but no memory, and returns its HTTP client. */
  createReplica: () => HttpClient;
  /** The parsed log lines of the service. */
  logs: Record<string, unknown>[];
  /** Delivers an event as a sidecar would. Returns the status in the response: SUCCESS, RETRY or DROP. */
  deliver: (type: string, data: unknown, more?: Partial<CloudEvent>) => Promise<string>;
  /** Triggers a job as a sidecar would. Returns the HTTP status. */
  triggerJob: (job: string) => Promise<number>;
  /** Lets the service sweep its work list, as its job would. Returns the HTTP status. */
  sweep: () => Promise<number>;
  /** The ids in the work list of the service, in their order. */
  workList: () => string[];
  /** Puts an entry into the work list that is due at the next sweep. */
  addDue: (id: string) => void;
  /** The events of one type that the service has published so far. */
  publishedEvents: (type: string) => { id: string; data: Record<string, unknown> }[];
  stop: () => Promise<void>;
}

export type HttpClient = ReturnType<typeof request.agent>;

/** An HTTP client of a service that sends its sidecar's token. */
export const createHttpClient = (app: Express): HttpClient =>
  request.agent(app).set('dapr-api-token', APP_API_TOKEN);

/** A service's client of the fake sidecar. */
export const createSidecarClient = (
  port: number,
  more: { metricsPort?: number; deduplicationWindowMs?: number } = {},
): Sidecar => createSidecar({ port, apiToken: DAPR_API_TOKEN, ...more });

let tracing = false;

/**
 * Builds the service with the dependencies that every service has; `build` adds the others.
 *
 * @param options.deduplicationWindowMs for how long the sidecar client suppresses duplicate events; 0 turns that off
 */
export async function startService(
  build: (deps: ServiceDeps) => Express,
  { deduplicationWindowMs = 0 }: { deduplicationWindowMs?: number } = {},
): Promise<ServiceUnderTest> {
  const logs: Record<string, unknown>[] = [];
  const log = createLogger('test', 'debug', {
    write: (line) => void logs.push(JSON.parse(line) as Record<string, unknown>),
  });
  if (!tracing) {
    tracing = true;
    await startTracing('test', { TRACES_PER_SECOND: 10 }, log);
  }
  const fake = await startFakeSidecar();
  const clients: Sidecar[] = [];
  function createReplica(): HttpClient {
    const sidecar = createSidecarClient(fake.port, { metricsPort: fake.port, deduplicationWindowMs });
    clients.push(sidecar);
    return createHttpClient(build({ log, sidecar, appApiToken: APP_API_TOKEN, metrics: createMetrics() }));
  }
  const http = createReplica();
  const shards = () =>
    [...fake.documents].flatMap(([key, { value }]) => (key.startsWith('worklist:') ? [value as Shard] : []));
  return {
    sidecar: fake,
    http,
    createReplica,
    logs,
    async deliver(type, data, more) {
      const event = buildEvent(type, data, more);
      const response = await http
        .post(`/events/${type}`)
        .set('content-type', 'application/cloudevents+json')
        .send(JSON.stringify(event));
      return (response.body as { status: string }).status;
    },
    triggerJob: async (job) => (await http.post(`/job/${job}`).send({})).status,
    sweep: async () => (await http.post('/job/sweep').send({})).status,
    workList: () => shards().flatMap(Object.keys).toSorted(),
    addDue(id) {
      const key = `worklist:${shards().length % 16}`;
      const before = fake.documents.get(key)?.value as Shard | undefined;
      const entry = { added: 0, due_ms: 0 };
      fake.documents.set(key, { value: { ...before, [id]: entry }, etag: randomUUID() });
    },
    publishedEvents: (type) =>
      fake.published
        .filter((event) => event.type === type)
        .map((event) => ({ id: event.id, data: event.data as Record<string, unknown> })),
    async stop() {
      await Promise.all(clients.map((sidecar) => sidecar.close()));
      await fake.close();
    },
  };
}

/** The headers by which the gateway identifies a caller. */
export function asCaller(id: string, role: 'customer' | 'admin' = 'customer'): Record<string, string> {
  return { 'x-caller-id': id, 'x-caller-role': role };
}

/** The header by which the gateway passes on the network of the client. */
export const fromNetwork = (network: string): Record<string, string> => ({ 'x-client-network': network });

/** The slug of a problem document: the last part of its type. */
export const slugOf = (response: { body: unknown }): string | undefined =>
  (response.body as { type: string }).type.split(':').at(-1);
