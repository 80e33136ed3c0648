import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { client, type Client } from '../../services/gateway/client.ts';
import type { Product } from '../../services/inventory/contract.ts';
import type { Order } from '../../services/orders/contract.ts';
import { portOffset, portsAt } from './ports.ts';

/** `npm run demo`: four orders against the running system, each step as it happens. */

const offset = portOffset();
const api = process.env['SIDECART_API'] ?? `http://localhost:${8080 + offset}`;
const zipkin = `http://localhost:${portsAt(offset).zipkin}`;

const FINAL = new Set(['DELIVERED', 'REJECTED', 'PAYMENT_FAILED', 'CANCELLED', 'EXPIRED']);
const PATIENCE_MS = 60_000;

interface Wish {
  title: string;
  product: string;
  quantity: number;
  card: string;
  /** Where this order is to end. */
  ends: Order['status'];
  cancelWhen?: Order['status'];
}

try {
  await main();
} catch (error) {
  const unreachable = error instanceof TypeError && error.cause !== undefined;
  console.error(
    unreachable ? `Nothing answers at ${api}. Start the system first: npm start` : (error as Error).message,
  );
  process.exit(1);
}

async function main(): Promise<void> {
  const call = await newCustomer();
  const { items } = await demand<{ items: Product[] }>(call('GET', '/api/inventory'), 200);
  const plenty = items.find(({ available }) => available >= 10);
  const scarce = items.toSorted((one, other) => one.available - other.available)[0];
  if (!plenty || !scarce)
    throw new Error('The shop has nothing left to sell: delete .sidecart and start anew.');

  const order = { product: plenty.product_id, quantity: 1, card: 'tok_visa' };
  const wishes: Wish[] = [
    { ...order, title: 'An order that ships', quantity: 2, ends: 'DELIVERED' },
    { ...order, title: 'A declined card', card: 'tok_chargeDeclined', ends: 'PAYMENT_FAILED' },
    {
      ...order,
      title: 'Out of stock',
      product: scarce.product_id,
      quantity: scarce.available + 1,
      ends: 'REJECTED',
    },
    { ...order, title: 'Cancelled after payment, before it ships', cancelWhen: 'PAID', ends: 'CANCELLED' },
  ];
  for (const wish of wishes) await tell(call, wish);
  say(`\nThe mails of all this: http://localhost:${portsAt(offset).mailWeb}`);
}

async function newCustomer(): Promise<Client> {
  const anonymous = client(api);
  const email = `demo-${randomBytes(4).toString('hex')}@example.com`;
  const password = randomBytes(12).toString('base64url');
  await demand(anonymous('POST', '/api/users/register', { email, password, name: 'Demo' }), 201);
  const { access_token } = await demand<{ access_token: string }>(
    anonymous('POST', '/api/users/login', { email, password }),
    200,
  );
  say(`Registered and logged in as ${email}`);
  return client(api, access_token);
}

/** Places an order and tells how it goes, until it is final. */
async function tell(call: Client, { title, product, quantity, card, ends, cancelWhen }: Wish): Promise<void> {
  const traceId = randomBytes(16).toString('hex');
  const traceparent = `00-${traceId}-${randomBytes(8).toString('hex')}-01`;
  say(`\n${title}: ${quantity} x ${product}, ${card}`);
  say(`  trace ${zipkin}/zipkin/traces/${traceId}`);
  const started = performance.now();
  const body = { items: [{ product_id: product, quantity }], payment: { method: 'card', card_token: card } };
  const { order_id } = await demand<{ order_id: string }>(
    call('POST', '/api/orders', body, { traceparent }),
    201,
  );
  say(`  order ${order_id}`);

  let seen: string | undefined;
  while (performance.now() - started < PATIENCE_MS) {
    const order = await demand<Order>(call('GET', `/api/orders/${order_id}`), 200);
    if (order.status !== seen) {
      seen = order.status;
      const seconds = ((performance.now() - started) / 1000).toFixed(2).padStart(6);
      say(`  ${seconds} s  ${order.status}${order.reason ? `: ${order.reason}` : ''}`);
      if (FINAL.has(order.status) && order.status !== ends)
        throw new Error(`That was not to be expected: ${ends} was.`);
      if (order.status === cancelWhen)
        await demand(call('POST', `/api/orders/${order_id}/cancel`, undefined, { traceparent }), 200);
    }
    if (FINAL.has(order.status)) return;
    await delay(100);
  }
  throw new Error(
    `The order is ${seen ?? 'nowhere'} and does not go on. GET ${api}/health tells which service is out.`,
  );
}

async function demand<Body>(answer: ReturnType<Client>, status: number): Promise<Body> {
  const { status: given, body } = await answer;
  if (given !== status) throw new Error(`The API answered ${given}: ${JSON.stringify(body)}`);
  return body as Body;
}

function say(line: string): void {
  console.log(line);
}
