import { randomBytes, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { request } from 'undici';
import { expect } from 'vitest';
import type { CloudEvent } from '../../services/shared/dapr/cloud-event.ts';
import { buildEvent } from '../support/events.ts';
import { APP_API_TOKEN, startFakeSidecar, type FakeSidecar } from '../support/fake-sidecar.ts';
import { documentsOf, type Documents } from './documents.ts';
import { startReadyProcess, type ServiceProcess } from './service-process.ts';

export interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown> & { items: Record<string, unknown>[]; errors?: { field: string }[] };
  /** The slug of a problem document. */
  slug: string | undefined;
}

export interface Call {
  headers?: Record<string, string>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  text?: string;
  replica?: number;
  /** Ends the connection. */
  signal?: AbortSignal;
}

/** Two processes of one service beside one fake sidecar. They share the state and nothing else. */
export interface CheckedService {
  sidecar: FakeSidecar;
  documents: Documents;
  replicas: ServiceProcess[];
  /** Sends a request as the sidecar would. Every response is checked against the documents. */
  call: (method: string, path: string, call?: Call) => Promise<Answer>;
  /** Delivers an event. Returns SUCCESS, RETRY or DROP. */
  deliver: (type: string, data: unknown, more?: Call & { event?: Partial<CloudEvent> }) => Promise<string>;
  /** Starts anew: an empty state, and nothing published. */
  reset: () => void;
  /** Checks all that was saved and published since `reset`. */
  assertDocumented: () => void;
  stop: () => Promise<void>;
}

export const TRACE = () => `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;

export async function checkService(
  name: string,
  { env = {}, count = 2 }: { env?: Record<string, string>; count?: number } = {},
): Promise<CheckedService> {
  const sidecar = await startFakeSidecar();
  const documents = documentsOf(name);
  const replicas: ServiceProcess[] = [];
  const stop = async () => {
    await Promise.all(replicas.map((replica) => replica.end('SIGTERM')));
    await sidecar.close();
  };
  try {
    for (let started = 0; started < count; started++)
      replicas.push(await startReadyProcess(name, sidecar.port, env));
  } catch (error) {
    await stop();
    throw error;
  }

  async function call(
    method: string,
    path: string,
    { headers = {}, json, text, replica = 0, signal }: Call = {},
  ): Promise<Answer> {
    const body = json === undefined ? text : JSON.stringify(json);
    // Not `fetch`, which adds `Cache-Control: no-cache` to conditional requests.
    const response = await request(`${replicas[replica]!.url}${path}`, {
      method: method as 'GET',
      headers: {
        'dapr-api-token': APP_API_TOKEN,
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
      headersTimeout: 20_000,
      bodyTimeout: 20_000,
    });
    const received = await response.body.text();
    const answered = new Headers(response.headers as Record<string, string>);
    const type = answered.get('content-type') ?? '';
    const parsed = (type.includes('json') && received !== '' ? JSON.parse(received) : {}) as Answer['body'];
    const status = response.statusCode;
    const [withoutQuery = ''] = path.split('?');
    expect(documents.problemOf(method, withoutQuery, { status, type, body: parsed })).toBeUndefined();
    const slug = status >= 400 ? String(parsed['type']).split(':').at(-1) : undefined;
    return { status, headers: answered, body: parsed, slug };
  }

  return {
    sidecar,
    documents,
    replicas,
    call,
    async deliver(type, data, { event, headers, ...more } = {}) {
      const { status, body } = await call('POST', `/events/${type}`, {
        text: JSON.stringify(buildEvent(type, data, { id: randomUUID(), ...event })),
        headers: { 'content-type': 'application/cloudevents+json', ...headers },
        ...more,
      });
      expect(status, 'CONTRACT.md, Events: every delivery is answered with 200').toBe(200);
      return String(body['status']);
    },
    reset() {
      sidecar.documents.clear();
      sidecar.published.length = 0;
      sidecar.calls.length = 0;
      sidecar.traced.length = 0;
      sidecar.jobs.clear();
      sidecar.onStateCall(() => {});
      for (const capability of ['publish', 'state', 'invoke', 'schedule', 'health'] as const)
        sidecar.fail(capability, 0);
    },
    assertDocumented() {
      const saved = [...sidecar.documents].map(([key, document]) =>
        documents.problemOfDocument(key, document),
      );
      expect(saved.filter(Boolean)).toEqual([]);
      expect(sidecar.published.map((event) => documents.problemOfEvent(event)).filter(Boolean)).toEqual([]);
      const differing = sidecar.published.filter((event, position) => {
        const first = sidecar.published.find(({ type, id }) => type === event.type && id === event.id);
        return position > 0 && !isDeepStrictEqual(withoutTrace(first), withoutTrace(event));
      });
      expect(differing, 'CONTRACT.md, Events: events with the same id are equal').toEqual([]);
    },
    stop,
  };
}

/** A bulk publish adds the trace to each event. */
function withoutTrace(event: CloudEvent | undefined): object {
  const {
    traceparent: _,
    traceid: __,
    ...rest
  } = { ...event } as CloudEvent & { traceparent?: string; traceid?: string };
  return rest;
}
