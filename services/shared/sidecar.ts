import { EventEmitter } from 'node:events';
import { openBreakersIn } from './breakers.ts';
import { outgoingHeaders } from './context.ts';
import type { CloudEvent } from './events.ts';
import { createPool } from './http-pool.ts';
import {
  isProblem,
  isWhole,
  sidecarError,
  SidecarError,
  type SidecarRequest,
  type SidecarResponse,
} from './sidecar-call.ts';
import { publisher, type Publish } from './publisher.ts';
import { stateStore, type StateStore } from './state.ts';

/** A job in Dapr's scheduler: https://docs.dapr.io/reference/api/jobs_api/. */
export interface Job {
  /** When it fires first: a duration (`30s`) or an RFC 3339 time. */
  dueTime: string;
  /** How often after that (`@every 30s`), until it is removed. One that fails is not tried again before its next time. */
  schedule: string;
  /** Comes back in the body when it fires, beside the trace context. */
  data?: Record<string, string>;
}

/** All that a service asks of its sidecar. Trace context and request id go along with every call. */
export interface Sidecar {
  state: StateStore;
  /**
   * Publishes to the topic named as the event's type. Resolves when the broker has it; at once where it was told the same
   * event by this process in the last five seconds, unless it is wanted again.
   */
  publish: Publish;
  /** The same to every replica of those who listen, and to those that listen now: what it says may get lost. */
  broadcast: (event: CloudEvent) => Promise<void>;
  /** Calls another service. Every answer of that service is a result; @throws SidecarError where none came. */
  invoke: (appId: string, request: SidecarRequest) => Promise<SidecarResponse>;
  /** Sets a job, replacing one of the same name; it comes back as `POST /job/<name>`. */
  schedule: (name: string, job: Job) => Promise<void>;
  /** Removes a job; one that is not there is no error. */
  unschedule: (name: string) => Promise<void>;
  /** Invokes an output binding's `create`. */
  send: (binding: string, data: string, metadata: Record<string, string>) => Promise<void>;
  /** Whether the sidecar has its components ready: https://docs.dapr.io/reference/api/health_api/. */
  isReady: () => Promise<boolean>;
  /** What the circuit breakers that are open guard, by the names of components and apps; none where that is not known. */
  openBreakers: () => Promise<string[]>;
  close: () => Promise<void>;
}

const CONNECTIONS = 256;
/** Calls under way, those that wait for a connection included; more fail at once, so that what waits has a bound. */
const MAX_CALLS = 2_048;
/** No answer in time, or no connection. */
const UNREACHABLE = 'SIDECAR_UNREACHABLE';
/** No call takes longer than this, for a free connection, its answer and the last byte of it. Milliseconds. */
const CALL_TIMEOUT = 15_000;
const METRICS_TIMEOUT = 1_000;
/** What the broker has just been told is not said again for this time; an order's job repeats it later. Milliseconds. */
export const QUIET = 5_000;
/** The jobs API has no resiliency policy, and waits half a minute for a scheduler that is away. Milliseconds. */
const SCHEDULER_TIMEOUT = 1_000;
/** After one call has waited so long, others fail at once for this time. Milliseconds. */
const SCHEDULER_AWAY = 1_000;

/**
 * A client of the sidecar's HTTP API on this host. Why it is not `@dapr/dapr`:
 * services/decisions/0122-a-thin-client-of-the-sidecar.md.
 */
export function createSidecar(options: {
  port: number;
  metricsPort?: number;
  /** The sidecar answers nobody without it: https://docs.dapr.io/operations/security/api-token/. */
  apiToken: string;
  /** Not given: 5 s. See `publisher`. */
  quietMs?: number;
}): Sidecar {
  const pool = createPool(`http://127.0.0.1:${options.port}`, {
    connections: CONNECTIONS,
    connectTimeout: 3_000,
    // The sidecar drops an idle connection after 60 s: it must be us who closes first.
    keepAliveTimeout: 45_000,
  });
  const { metricsPort } = options;
  const metrics =
    metricsPort === undefined
      ? undefined
      : createPool(`http://127.0.0.1:${metricsPort}`, {
          connections: 1,
          headersTimeout: METRICS_TIMEOUT,
          bodyTimeout: METRICS_TIMEOUT,
        });
  let calls = 0;
  const token = { 'dapr-api-token': options.apiToken };

  async function request(call: SidecarRequest): Promise<SidecarResponse> {
    const { method, path, headers, body, timeout = CALL_TIMEOUT, signal } = call;
    const what = `${method} ${path.split('?')[0]}`;
    if (calls >= MAX_CALLS) throw new SidecarError(what, 503, 'TOO_MANY_CALLS');
    calls += 1;
    // Undici takes an EventEmitter too, which costs less than an AbortController (decisions/0122).
    const ending = new EventEmitter();
    const end = () => void ending.emit('abort');
    const timer = setTimeout(end, timeout);
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

  /** For calls where every answer but a success is a failure of the sidecar. */
  async function demand(what: string, call: SidecarRequest): Promise<SidecarResponse> {
    const response = await request(call);
    if (response.status >= 300) throw sidecarError(what, response);
    return response;
  }

  let schedulerAwayUntil = 0;

  async function demandScheduler(what: string, call: SidecarRequest): Promise<void> {
    if (performance.now() < schedulerAwayUntil) throw new SidecarError(what, 503, 'SCHEDULER_AWAY');
    await demand(what, { ...call, timeout: SCHEDULER_TIMEOUT }).catch((error: unknown) => {
      const wasSlow = error instanceof SidecarError && error.code === UNREACHABLE;
      if (wasSlow) schedulerAwayUntil = performance.now() + SCHEDULER_AWAY;
      throw error;
    });
  }

  return {
    state: stateStore(request),
    publish: publisher(request, 'pubsub', options.quietMs ?? QUIET),
    broadcast: publisher(request, 'broadcast', 0),
    async invoke(appId, call) {
      const response = await request({ ...call, headers: { ...call.headers, 'dapr-app-id': appId } });
      if (response.status >= 500 && !isProblem(response)) throw sidecarError(`invoke ${appId}`, response);
      if (!isWhole(response)) throw new SidecarError(`invoke ${appId}`, 502, 'ANSWER_CUT_SHORT');
      return response;
    },
    async schedule(name, job) {
      await demandScheduler(`schedule ${name}`, {
        method: 'POST',
        path: `/v1.0/jobs/${name}`,
        headers: { 'content-type': 'application/json' },
        // Without data daprd 1.18 never calls the service: "none of the oneof fields is set".
        // The scheduler keeps no trace context, so the job carries the trace in which it was set.
        body: JSON.stringify({
          ...job,
          data: { ...outgoingHeaders(), ...job.data },
          overwrite: true,
          // No retries: the next tick is soon enough (decisions/0122).
          failurePolicy: { drop: {} },
        }),
      });
    },
    async unschedule(name) {
      await demandScheduler(`unschedule ${name}`, { method: 'DELETE', path: `/v1.0/jobs/${name}` });
    },
    async send(binding, data, metadata) {
      await demand(`send by ${binding}`, {
        method: 'POST',
        path: `/v1.0/bindings/${binding}`,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ operation: 'create', data, metadata }),
      });
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
      return openBreakersIn(text);
    },
    close: async () => void (await Promise.all([pool.close(), metrics?.close()])),
  };
}
