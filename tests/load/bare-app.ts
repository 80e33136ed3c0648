import { randomUUID } from 'node:crypto';
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

/** Calls the back through both sidecars. @throws Error if the status is not 2xx */
const getFromBack = (path: string) => send('GET', path, { 'dapr-app-id': 'bare-back' });
const post = (path: string, body: unknown) =>
  send('POST', path, { 'content-type': 'application/json' }, JSON.stringify(body));

async function send(method: 'GET' | 'POST', path: string, headers: object, body: string | null = null) {
  const response = await sidecar.request({ method, path, headers: { ...token, ...headers }, body });
  const text = await response.body.text();
  if (response.statusCode > 299) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
  return text;
}

app.get('/healthz', (_req, res) => void res.json({ status: 'ok' }));

app.get('/back', (_req, res) => void res.json({ status: 'ok' }));
app.get('/prices/:id', (req, res) => void res.json({ product_id: req.params.id, unit_price: 1290 }));

/** Front to back through both sidecars. */
app.get('/chain', async (_req, res) => void res.type('json').send(await getFromBack('/back')));

interface Item {
  product_id: string;
  quantity: number;
}

/** The least that a shop does to accept an order: it looks up the price, stores a document and publishes an event. */
app.post('/look-up-store-publish', async (req: Request<object, unknown, Item>, res: Response) => {
  const { product_id, quantity } = req.body;
  const { unit_price } = JSON.parse(await getFromBack(`/prices/${product_id}`)) as { unit_price: number };
  const order = { order_id: randomUUID(), product_id, quantity, total: unit_price * quantity };
  await post('/v1.0/state/statestore', [{ key: `order:${order.order_id}`, value: order }]);
  await post('/v1.0/publish/pubsub/bare.no-subscriber', order);
  res.status(201).json(order);
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
  await post('/v1.0/publish/pubsub/bare.round-trip', { number });
  await arrived;
  waiting.delete(number);
  res.json({ ms: performance.now() - started });
});

app.listen(Number(process.env['APP_PORT']), '127.0.0.1');
