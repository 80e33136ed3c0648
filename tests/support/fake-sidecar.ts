import express, { type Request, type Response } from 'express';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:http';
import type { CloudEvent } from '../../services/shared/dapr/cloud-event.ts';

/** A call that the service made to another service or to a binding. */
export interface RecordedCall {
  target: string;
  method: string;
  path: string;
  headers: Record<string, string | string[] | undefined>;
  body: unknown;
}

/** The token of every call to the sidecar, and that of every call from the sidecar. */
export const DAPR_API_TOKEN = 'the-token-of-the-fake-sidecar';
export const APP_API_TOKEN = 'the-token-of-the-service-beside-it';

/** The response of another service. */
export type Answer = { status: number; body?: unknown; headers?: Record<string, string> };
/** Stands for a response without a body and without a content type. */
export const EMPTY_BODY = Symbol('empty body');
type Capability = 'publish' | 'broadcast' | 'state' | 'invoke' | 'schedule' | 'send' | 'configure' | 'health';

/** A call to the state store, and its keys. */
export interface StateCall {
  op: 'read' | 'write';
  keys: string[];
}

/** A sidecar for component tests: Dapr's HTTP API in memory, with the ETags of the real one. */
export interface FakeSidecar {
  port: number;
  /** All published events, in order. */
  published: CloudEvent[];
  /** All events of the broadcast component, which reach every replica. */
  broadcasts: CloudEvent[];
  /** The scheduled jobs, by name. */
  jobs: Map<string, { dueTime: string; schedule?: string; data?: Record<string, string> }>;
  /** Calls to other services and to bindings, in order. */
  calls: RecordedCall[];
  /** The headers of all calls with a trace, by method and path, in order. */
  traced: { what: string; headers: Record<string, string | string[] | undefined> }[];
  /** The highest number of concurrent calls to each binding, by name. */
  maxConcurrentSends: Map<string, number>;
  /** Documents by key. */
  documents: Map<string, { value: unknown; etag: string; ttlSeconds?: number; expiresAt?: number }>;
  /** The items of the configuration store by key. An empty value counts as none. */
  configuration: Map<string, string>;
  /** How often the items were read. */
  configurationReads: number;
  /** The clock of the store, in milliseconds. A document expires when its time to live has passed. */
  now: () => number;
  /** The response of `/metrics`, in Prometheus' text format. */
  metrics: string;
  /** Sets how another service responds. The last call for an app wins. */
  answer: (appId: string, answer: (call: RecordedCall) => Answer | Promise<Answer>) => void;
  /** Sets a listener that runs before each call to the state store. If it throws, the call fails with 500. */
  onStateCall: (listener: (call: StateCall) => void | Promise<void>) => void;
  /** Makes the next `times` calls of this kind fail with 500, as an unreachable component would. */
  fail: (capability: Capability, times?: number) => void;
  close: () => Promise<void>;
}

export async function startFakeSidecar(): Promise<FakeSidecar> {
  const app = express();
  // A response has an ETag only if the service sets one.
  app.disable('etag');
  const documents: FakeSidecar['documents'] = new Map();
  const failures = new Map<Capability, number>();
  const answers = new Map<string, (call: RecordedCall) => Answer | Promise<Answer>>();
  let onStateCall: (call: StateCall) => void | Promise<void> = () => {};
  const fake: Omit<FakeSidecar, 'port' | 'close'> = {
    published: [],
    broadcasts: [],
    jobs: new Map(),
    calls: [],
    traced: [],
    maxConcurrentSends: new Map(),
    documents,
    configuration: new Map(),
    configurationReads: 0,
    now: () => Date.now(),
    metrics: '',
    answer: (appId, answer) => void answers.set(appId, answer),
    onStateCall: (listener) => void (onStateCall = listener),
    fail: (capability, times = 1) => void failures.set(capability, times),
  };
  let etags = 0;

  function failIfRequested(capability: Capability, res: Response): boolean {
    const remaining = failures.get(capability) ?? 0;
    if (remaining === 0) return false;
    failures.set(capability, remaining - 1);
    sendError(res);
    return true;
  }
  const sendError = (res: Response) =>
    void res.status(500).json({ errorCode: 'ERR_FAKE', message: 'the test made this call fail' });

  async function stateFails(res: Response, op: StateCall['op'], keys: string[]): Promise<boolean> {
    try {
      await onStateCall({ op, keys });
    } catch {
      sendError(res);
      return true;
    }
    return failIfRequested('state', res);
  }

  interface Op {
    key: string;
    value?: unknown;
    etag?: string;
    metadata?: { ttlInSeconds?: string };
  }
  function live(key: string) {
    const found = documents.get(key);
    return found && (found.expiresAt ?? Infinity) > fake.now() ? found : undefined;
  }
  const matches = (op: Op) => live(op.key)?.etag === op.etag;
  const timeToLive = (ttlSeconds: number) => ({ ttlSeconds, expiresAt: fake.now() + ttlSeconds * 1000 });
  const put = ({ key, value, metadata }: Op) =>
    documents.set(key, {
      value: structuredClone(value),
      etag: String(++etags),
      ...(metadata?.ttlInSeconds ? timeToLive(Number(metadata.ttlInSeconds)) : {}),
    });

  app.get('/metrics', (_req, res) => void res.type('text').send(fake.metrics));
  app.use((req, res, next) => {
    if (req.get('dapr-api-token') === DAPR_API_TOKEN) next();
    else res.status(401).json({ errorCode: 'ERR_UNAUTHORIZED', message: 'the token is missing or wrong' });
  });
  app.use((req, _res, next) => {
    if (req.get('traceparent'))
      fake.traced.push({ what: `${req.method} ${req.originalUrl}`, headers: req.headers });
    next();
  });
  // @dapr/dapr names the app in the path.
  app.use('/v1.0/invoke/:app/method', (req, _res, next) => {
    req.headers['dapr-app-id'] = req.params.app;
    next();
  });
  app.get('/v1.0/metadata', (_req, res) => void res.json({ id: 'fake' }));
  app.use((req, res, next) => {
    const target = req.get('dapr-app-id');
    if (!target) return next();
    express.json({ type: () => true })(req, res, async () => {
      if (failIfRequested('invoke', res)) return;
      const call = record(target, req);
      const answer = await answers.get(target)?.(call);
      if (!answer)
        return void res.status(500).json({ errorCode: 'ERR_DIRECT_INVOKE', message: 'no such app' });
      res.status(answer.status);
      if (answer.body === EMPTY_BODY) return void res.end();
      res.type(answer.status >= 400 ? 'application/problem+json' : 'application/json');
      res.set(answer.headers ?? {});
      res.send(JSON.stringify(answer.body ?? {}));
    });
  });
  app.use(express.json({ type: ['application/json', 'application/cloudevents+json'], limit: '4mb' }));

  function record(target: string, req: Request): RecordedCall {
    const call = {
      target,
      method: req.method,
      path: req.originalUrl,
      headers: req.headers,
      body: req.body as unknown,
    };
    fake.calls.push(call);
    return call;
  }

  app.get('/v1.0/healthz/outbound', (_req, res) => {
    if (!failIfRequested('health', res)) res.status(204).end();
  });
  app.get('/v1.0/state/statestore/:key', async (req, res) => {
    if (await stateFails(res, 'read', [req.params.key])) return;
    const found = live(req.params.key);
    if (!found) return void res.status(204).end();
    res.set('etag', found.etag).type('json').send(JSON.stringify(found.value));
  });
  app.post('/v1.0/state/statestore/bulk', async (req, res) => {
    const { keys } = req.body as { keys: string[] };
    if (await stateFails(res, 'read', keys)) return;
    res.json(
      keys.map((key) => {
        const found = live(key);
        return found ? { key, data: found.value, etag: found.etag } : { key };
      }),
    );
  });
  app.post('/v1.0/state/statestore/transaction', async (req, res) => {
    const { operations } = req.body as { operations: { operation: 'upsert' | 'delete'; request: Op }[] };
    const keys = operations.map(({ request }) => request.key);
    if (await stateFails(res, 'write', keys)) return;
    if (!operations.every(({ request }) => matches(request)))
      return void res
        .status(500)
        .json({ errorCode: 'ERR_STATE_TRANSACTION', message: 'possible etag mismatch' });
    for (const { operation, request } of operations)
      if (operation === 'upsert') put(request);
      else documents.delete(request.key);
    res.status(204).end();
  });
  app.post('/v1.0/state/statestore', async (req, res) => {
    const ops = req.body as Op[];
    const keys = ops.map(({ key }) => key);
    if (await stateFails(res, 'write', keys)) return;
    if (!ops.every(matches))
      return void res.status(409).json({ errorCode: 'ERR_STATE_SAVE', message: 'etag' });
    ops.forEach(put);
    res.status(204).end();
  });
  app.delete('/v1.0/state/statestore/:key', async (req, res) => {
    if (await stateFails(res, 'write', [req.params.key])) return;
    const op = { key: req.params.key, etag: req.get('if-match') ?? '' };
    if (!matches(op)) return void res.status(409).json({ errorCode: 'ERR_STATE_DELETE', message: 'etag' });
    documents.delete(op.key);
    res.status(204).end();
  });
  const components = [
    ['pubsub', 'publish', fake.published],
    ['broadcast', 'broadcast', fake.broadcasts],
  ] as const;
  for (const [component, capability, events] of components) {
    app.post(`/v1.0/publish/${component}/:topic`, (req, res) => {
      if (failIfRequested(capability, res)) return;
      events.push(req.body as CloudEvent);
      res.status(204).end();
    });
    app.post(`/v1.0-alpha1/publish/bulk/${component}/:topic`, (req, res) => {
      if (failIfRequested(capability, res)) return;
      events.push(...(req.body as { event: CloudEvent }[]).map(({ event }) => event));
      res.status(204).end();
    });
  }
  app.get('/v1.0/configuration/settings', (_req, res) => {
    fake.configurationReads++;
    if (failIfRequested('configure', res)) return;
    const items = [...fake.configuration].filter(([, value]) => value !== '');
    if (items.length === 0) res.status(204).end();
    else res.json(Object.fromEntries(items.map(([key, value]) => [key, { value, version: '1' }])));
  });
  app.post('/v1.0/jobs/:name', (req, res) => {
    if (failIfRequested('schedule', res)) return;
    fake.jobs.set(req.params.name, req.body as { dueTime: string });
    res.status(204).end();
  });
  app.delete('/v1.0/jobs/:name', (req, res) => {
    if (failIfRequested('schedule', res)) return;
    fake.jobs.delete(req.params.name);
    res.status(204).end();
  });
  const sending = new Map<string, number>();
  app.post('/v1.0/bindings/:name', async (req, res) => {
    const { name } = req.params;
    if (failIfRequested('send', res)) return;
    const now = (sending.get(name) ?? 0) + 1;
    sending.set(name, now);
    fake.maxConcurrentSends.set(name, Math.max(fake.maxConcurrentSends.get(name) ?? 0, now));
    // Long enough for concurrent calls to overlap.
    await new Promise((resolve) => void setTimeout(resolve, 5));
    sending.set(name, (sending.get(name) ?? 0) - 1);
    record(name, req);
    res.status(204).end();
  });

  const server = createServer(app);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return Object.assign(fake, {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}
