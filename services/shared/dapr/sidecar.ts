import { EventEmitter } from 'node:events';
import { z } from 'zod';
import { parseOpenCircuitBreakers } from './circuit-breakers.ts';
import { outgoingHeaders } from '../telemetry/request-context.ts';
import type { CloudEvent } from './cloud-event.ts';
import { createPool } from './http-pool.ts';
import {
  isProblem,
  isComplete,
  sidecarError,
  SidecarError,
  type SidecarRequest,
  type SidecarResponse,
} from './sidecar-call.ts';
import { createPublisher, type Publish } from './publisher.ts';
import { createStateStore, type StateStore } from './state-store.ts';

/** A job in Dapr's scheduler: https://docs.dapr.io/reference/api/jobs_api/. */
export interface Job {
  /** The first run: a duration (`30s`) or an RFC 3339 time. */
  dueTime: string;
  /** The interval after that (`@every 30s`), until the job is deleted. A failed run is not repeated before the next one. */
  schedule: string;
}

/** The sidecar of a service. Every call passes the trace context and the request id. */
export interface Sidecar {
  state: StateStore;
  /**
   * Publishes to the topic that is named like the event's type, and resolves when the broker has confirmed the event. It does
   * nothing if this process published the same event in the last five seconds, unless `again` is set.
   */
  publish: Publish;
  /** Publishes to every running replica of the subscribers. The event may be lost. */
  broadcast: (event: CloudEvent) => Promise<void>;
  /** Calls another service. Every response of that service is a result. @throws SidecarError without a response */
  invoke: (appId: string, request: SidecarRequest) => Promise<SidecarResponse>;
  /** Schedules a job, replacing a job of the same name. Each run is a `POST /job/<name>`. */
  scheduleJob: (name: string, job: Job) => Promise<void>;
  /** Deletes a job. Deleting a missing job succeeds. */
  deleteJob: (name: string) => Promise<void>;
  /** Invokes the `create` operation of an output binding. */
  invokeBinding: (binding: string, data: string, metadata: Record<string, string>) => Promise<void>;
  /** Reads every item of the configuration store, by its key. */
  readConfiguration: () => Promise<ReadonlyMap<string, string>>;
  /** Whether the components of the sidecar are ready: https://docs.dapr.io/reference/api/health_api/. */
  isReady: () => Promise<boolean>;
  /** The components and apps whose circuit breakers are open; empty if unknown. */
  openBreakers: () => Promise<string[]>;
  close: () => Promise<void>;
}

const CONNECTIONS = 256;
/** The maximum of calls in progress, including those that wait for a connection. Further calls fail at once. */
const MAX_CALLS = 2_048;
/** The code of an error without a response: timeout or no connection. */
const UNREACHABLE = 'SIDECAR_UNREACHABLE';
/** The timeout of a call, from waiting for a connection to the last byte of the response. */
const CALL_TIMEOUT_MS = 15_000;
const METRICS_TIMEOUT_MS = 1_000;
/** How long a published event is not republished. The watchdog of an order republishes events later. */
export const DEDUPLICATION_WINDOW_MS = 5_000;
/** The timeout of the jobs API. It has no resiliency policy, and waits 30 s for an unavailable scheduler. */
const SCHEDULER_TIMEOUT_MS = 1_000;

/** Less than the interval at which services read the configuration store. */
const CONFIGURATION_TIMEOUT_MS = 2_000;

/** A response of https://docs.dapr.io/reference/api/configuration_api/. */
const configurationSchema = z.record(z.string(), z.object({ value: z.string() }));

/**
 * A client of the sidecar's HTTP API on this host. Why it is not `@dapr/dapr`:
 * services/decisions/0122-a-thin-client-of-the-sidecar.md.
 */
export function createSidecar(options: {
  port: number;
  metricsPort?: number;
  /** The token that the sidecar requires: https://docs.dapr.io/operations/security/api-token/. */
  apiToken: string;
  /** The default is 5 s. See `createPublisher`. */
  deduplicationWindowMs?: number;
}): Sidecar {
  const pool = createPool(`http://127.0.0.1:${options.port}`, {
    connections: CONNECTIONS,
    connectTimeout: 3_000,
    // Shorter than the sidecar's timeout of 60 s, so that the client closes first.
    keepAliveTimeout: 45_000,
  });
  const { metricsPort } = options;
  const metrics =
    metricsPort === undefined
      ? undefined
      : createPool(`http://127.0.0.1:${metricsPort}`, {
          connections: 1,
          headersTimeout: METRICS_TIMEOUT_MS,
          bodyTimeout: METRICS_TIMEOUT_MS,
        });
  let calls = 0;
  const token = { 'dapr-api-token': options.apiToken };

  async function request(call: SidecarRequest): Promise<SidecarResponse> {
    const { method, path, headers, body, timeoutMs = CALL_TIMEOUT_MS, signal } = call;
    const what = `${method} ${path.split('?')[0]}`;
    if (calls >= MAX_CALLS) throw new SidecarError(what, 503, 'TOO_MANY_CALLS');
    calls += 1;
    // Undici takes an EventEmitter too, which costs less than an AbortController (decisions/0122).
    const ending = new EventEmitter();
    const end = () => void ending.emit('abort');
    const timer = setTimeout(end, timeoutMs);
    signal?.addEventListener('abort', end);
    try {
      signal?.throwIfAborted();
      const response = await pool.request({
        method,
        path,
        headers: { ...headers, ...outgoingHeaders(), ...token },
        body: body ?? null,
        signal: ending,
      });
      return {
        status: response.statusCode,
        headers: response.headers,
        body: Buffer.from(await response.body.arrayBuffer()),
      };
    } catch (error) {
      throw new SidecarError(what, 503, UNREACHABLE, { cause: error });
    } finally {
      calls -= 1;
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
    }
  }

  /** Calls the sidecar. @throws SidecarError for any response but a success */
  async function requestOrThrow(what: string, call: SidecarRequest): Promise<SidecarResponse> {
    const response = await request(call);
    if (response.status >= 300) throw sidecarError(what, response);
    return response;
  }

  return {
    state: createStateStore(request),
    publish: createPublisher(request, 'pubsub', options.deduplicationWindowMs ?? DEDUPLICATION_WINDOW_MS),
    broadcast: createPublisher(request, 'broadcast', 0),
    async invoke(appId, call) {
      const response = await request({ ...call, headers: { ...call.headers, 'dapr-app-id': appId } });
      if (response.status >= 500 && !isProblem(response)) throw sidecarError(`invoke ${appId}`, response);
      if (!isComplete(response)) throw new SidecarError(`invoke ${appId}`, 502, 'ANSWER_CUT_SHORT');
      return response;
    },
    async scheduleJob(name, job) {
      await requestOrThrow(`schedule job ${name}`, {
        method: 'POST',
        path: `/v1.0/jobs/${name}`,
        headers: { 'content-type': 'application/json' },
        // Without data, daprd 1.18 never calls the service: "none of the oneof fields is set".
        // No retries: the next run is soon enough (decisions/0122).
        body: JSON.stringify({ ...job, data: {}, overwrite: true, failurePolicy: { drop: {} } }),
        timeoutMs: SCHEDULER_TIMEOUT_MS,
      });
    },
    async deleteJob(name) {
      const path = `/v1.0/jobs/${name}`;
      await requestOrThrow(`delete job ${name}`, { method: 'DELETE', path, timeoutMs: SCHEDULER_TIMEOUT_MS });
    },
    async invokeBinding(binding, data, metadata) {
      await requestOrThrow(`invoke binding ${binding}`, {
        method: 'POST',
        path: `/v1.0/bindings/${binding}`,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ operation: 'create', data, metadata }),
      });
    },
    async readConfiguration() {
      const { status, body } = await requestOrThrow('read the configuration', {
        method: 'GET',
        // Without keys, because daprd logs a warning for each key without a value (decisions/0131).
        path: '/v1.0/configuration/settings',
        timeoutMs: CONFIGURATION_TIMEOUT_MS,
      });
      if (status === 204) return new Map();
      const items = configurationSchema.parse(JSON.parse(body.toString()));
      return new Map(Object.entries(items).map(([key, { value }]) => [key, value]));
    },
    async isReady() {
      const response = await request({ method: 'GET', path: '/v1.0/healthz/outbound' }).catch(
        () => undefined,
      );
      return response?.status === 204;
    },
    async openBreakers() {
      if (!metrics) return [];
      const text = await metrics.request({ method: 'GET', path: '/metrics' }).then(
        ({ body }) => body.text(),
        () => '',
      );
      return parseOpenCircuitBreakers(text);
    },
    close: async () => void (await Promise.all([pool.close(), metrics?.close()])),
  };
}
