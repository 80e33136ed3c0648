import express, { type Request, type Response } from 'express';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:http';
import type { CloudEvent } from '../../services/shared/events.ts';

/** A call that the service made to another service or to a binding. */
export interface RecordedCall {
  target: string;
  method: string;
  path: string;
  headers: Record<string, string | string[] | undefined>;
  body: unknown;
}

type Answer = { status: number; body?: unknown; headers?: Record<string, string> };
type Capability = 'publish' | 'state' | 'invoke' | 'schedule' | 'send';

/** A sidecar for component tests: Dapr's HTTP API over memory, with ETags as the real one has them. */
export interface FakeSidecar {
  port: number;
  /** What was published, in order. */
  published: CloudEvent[];
  /** Jobs that are set, by name. */
  jobs: Map<string, { dueTime: string; schedule?: string }>;
  /** Invocations and bindings, in order. */
  calls: RecordedCall[];
  /** The most mails that were being sent at the same time. */
  mostSendsAtOnce: number;
  /** Documents by key. */
  documents: Map<string, { value: unknown; etag: string }>;
  /** Says how another service answers; the last word for an app counts. */
  answer: (appId: string, answer: (call: RecordedCall) => Answer) => void;
  /** Makes the next `times` calls of this kind fail with a 500, as an unreachable component would. */
  fail: (capability: Capability, times?: number) => void;
  close: () => Promise<void>;
}

export async function startFakeSidecar(): Promise<FakeSidecar> {
  const app = express();
  const documents: FakeSidecar['documents'] = new Map();
  const failures = new Map<Capability, number>();
  const answers = new Map<string, (call: RecordedCall) => Answer>();
  const fake: Omit<FakeSidecar, 'port' | 'close'> = {
    published: [],
    jobs: new Map(),
    calls: [],
    mostSendsAtOnce: 0,
    documents,
    answer: (appId, answer) => void answers.set(appId, answer),
    fail: (capability, times = 1) => void failures.set(capability, times),
  };
  let etags = 0;

  function failing(capability: Capability, res: Response): boolean {
    const left = failures.get(capability) ?? 0;
    if (left === 0) return false;
    failures.set(capability, left - 1);
    res.status(500).json({ errorCode: 'ERR_FAKE', message: 'made to fail' });
    return true;
  }

  interface Op {
    key: string;
    value?: unknown;
    etag?: string;
  }
  const matches = (op: Op) => documents.get(op.key)?.etag === op.etag;
  const put = (op: Op) => documents.set(op.key, { value: structuredClone(op.value), etag: String(++etags) });

  app.use((req, res, next) => {
    const target = req.get('dapr-app-id');
    if (!target) return next();
    express.json({ type: () => true })(req, res, () => {
      if (failing('invoke', res)) return;
      const call = record(target, req);
      const answer = answers.get(target)?.(call);
      if (!answer)
        return void res.status(500).json({ errorCode: 'ERR_DIRECT_INVOKE', message: 'no such app' });
      res.status(answer.status);
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

  app.get('/v1.0/healthz/outbound', (_req, res) => void res.status(204).end());
  app.get('/v1.0/state/statestore/:key', (req, res) => {
    if (failing('state', res)) return;
    const found = documents.get(req.params.key);
    if (!found) return void res.status(204).end();
    res.set('etag', found.etag).type('json').send(JSON.stringify(found.value));
  });
  app.post('/v1.0/state/statestore/bulk', (req, res) => {
    if (failing('state', res)) return;
    const { keys } = req.body as { keys: string[] };
    res.json(
      keys.map((key) => {
        const found = documents.get(key);
        return found ? { key, data: found.value, etag: found.etag } : { key };
      }),
    );
  });
  app.post('/v1.0/state/statestore/transaction', (req, res) => {
    if (failing('state', res)) return;
    const { operations } = req.body as { operations: { operation: 'upsert' | 'delete'; request: Op }[] };
    if (!operations.every(({ request }) => matches(request)))
      return void res
        .status(500)
        .json({ errorCode: 'ERR_STATE_TRANSACTION', message: 'possible etag mismatch' });
    for (const { operation, request } of operations)
      if (operation === 'upsert') put(request);
      else documents.delete(request.key);
    res.status(204).end();
  });
  app.post('/v1.0/state/statestore', (req, res) => {
    if (failing('state', res)) return;
    const ops = req.body as Op[];
    if (!ops.every(matches))
      return void res.status(409).json({ errorCode: 'ERR_STATE_SAVE', message: 'etag' });
    ops.forEach(put);
    res.status(204).end();
  });
  app.delete('/v1.0/state/statestore/:key', (req, res) => {
    if (failing('state', res)) return;
    const op = { key: req.params.key, etag: req.get('if-match') ?? '' };
    if (!matches(op)) return void res.status(409).json({ errorCode: 'ERR_STATE_DELETE', message: 'etag' });
    documents.delete(op.key);
    res.status(204).end();
  });
  app.post('/v1.0/publish/pubsub/:topic', (req, res) => {
    if (failing('publish', res)) return;
    fake.published.push(req.body as CloudEvent);
    res.status(204).end();
  });
  app.post('/v1.0-alpha1/publish/bulk/pubsub/:topic', (req, res) => {
    if (failing('publish', res)) return;
    fake.published.push(...(req.body as { event: CloudEvent }[]).map(({ event }) => event));
    res.status(204).end();
  });
  app.post('/v1.0/jobs/:name', (req, res) => {
    if (failing('schedule', res)) return;
    fake.jobs.set(req.params.name, req.body as { dueTime: string });
    res.status(204).end();
  });
  app.delete('/v1.0/jobs/:name', (req, res) => {
    fake.jobs.delete(req.params.name);
    res.status(204).end();
  });
  let sending = 0;
  app.post('/v1.0/bindings/:name', async (req, res) => {
    if (failing('send', res)) return;
    sending += 1;
    fake.mostSendsAtOnce = Math.max(fake.mostSendsAtOnce, sending);
    // Long enough for what comes at the same time to overlap.
    await new Promise((resolve) => void setTimeout(resolve, 5));
    sending -= 1;
    record(req.params.name, req);
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
