import express, { type Request, type Response } from 'express';
import { Pool } from 'undici';

/**
 * The app of the baselines: Express, undici and the sidecars, without business logic. It runs twice, as bare-front and
 * bare-back.
 */
const sidecar = new Pool(`http://127.0.0.1:${process.env['DAPR_HTTP_PORT']}`, { connections: 64 });
const token = { 'dapr-api-token': process.env['DAPR_API_TOKEN'] };
const app = express();
app.disable('x-powered-by');
app.disable('etag');
app.use(express.json({ type: () => true }));

app.get('/healthz', (_req, res) => void res.json({ status: 'ok' }));

app.get('/back', (_req, res) => void res.json({ status: 'ok' }));

/** Under load, the system samples few requests. Without this header, the sidecars would trace every one. */
const NOT_SAMPLED = '00-11111111111111111111111111111111-2222222222222222-00';

/** Front to back through both sidecars. */
app.get('/chain', async (_req, res) => {
  const response = await sidecar.request({
    method: 'GET',
    path: '/back',
    headers: { ...token, 'dapr-app-id': 'bare-back', traceparent: NOT_SAMPLED },
  });
  res
    .status(response.statusCode)
    .type('json')
    .send(await response.body.text());
});

app.get(
  '/dapr/subscribe',
  (_req, res) => void res.json([{ pubsubname: 'pubsub', topic: 'bare.round-trip', route: '/arrived' }]),
);

const waiting = new Map<number, () => void>();
let published = 0;

app.post('/arrived', (req: Request<object, unknown, { data?: { number?: number } }>, res: Response) => {
  waiting.get(req.body.data?.number ?? -1)?.();
  res.json({ status: 'SUCCESS' });
});

/** Publishes one message and responds with the milliseconds until it was delivered back. */
app.post('/round-trip', async (_req, res) => {
  const number = published++;
  const started = performance.now();
  const arrived = new Promise<void>((resolve) => waiting.set(number, resolve));
  const response = await sidecar.request({
    method: 'POST',
    path: '/v1.0/publish/pubsub/bare.round-trip',
    headers: { ...token, 'content-type': 'application/json' },
    body: JSON.stringify({ number }),
  });
  await response.body.dump();
  await arrived;
  waiting.delete(number);
  res.json({ ms: performance.now() - started });
});

app.listen(Number(process.env['APP_PORT']), '127.0.0.1');
