import { randomBytes } from 'node:crypto';
import { unwrap, createClient, type Client } from '../../../services/gateway/client/client.ts';
import { FINAL_STATUSES, type OrderStatus } from '../../../services/orders/contract.ts';
import { formatMoney } from '../../../services/shared/schemas/money.ts';
import { orExit } from '../../../services/shared/runtime/shutdown.ts';
import { argumentsOf } from './arguments.ts';
import { portsAt } from '../configuration/ports.ts';
import { settings } from '../configuration/settings.ts';

/** `npm run demo`: four orders against the running system, each step as it happens. */

const { PORT_OFFSET: offset = 0, SIDECART_API } = await orExit(process, () => {
  argumentsOf({});
  return settings();
});
const api = SIDECART_API ?? `http://localhost:${8080 + offset}`;
const zipkin = `http://localhost:${portsAt(offset).zipkin}`;

const PATIENCE_MS = 60_000;

interface Wish {
  title: string;
  product: string;
  quantity: number;
  card: string;
  /** Where this order is to end. */
  ends: OrderStatus;
  cancelWhen?: OrderStatus;
}

try {
  await main();
} catch (error) {
  // The API answers with an Error of ours; those of the network have a code.
  const unreachable = error instanceof Error && 'code' in error;
  console.error(
    unreachable ? `No response from ${api}. Start the system first: npm start` : (error as Error).message,
  );
  process.exit(1);
}

async function main(): Promise<void> {
  const customer = await newCustomer();
  const { items } = unwrap(await customer('GET /api/inventory'));
  const plenty = items.find(({ available }) => available >= 10);
  const scarce = items.toSorted((one, other) => one.available - other.available)[0];
  if (!plenty || !scarce)
    throw new Error('Not enough products are in stock. Delete .sidecart and start the system again.');

  const order = { product: plenty.product_id, quantity: 1, card: 'tok_visa' };
  const wishes: Wish[] = [
    { ...order, title: 'Delivered order', quantity: 2, ends: 'DELIVERED' },
    { ...order, title: 'Declined card', card: 'tok_chargeDeclined', ends: 'PAYMENT_FAILED' },
    {
      ...order,
      title: 'Out of stock',
      product: scarce.product_id,
      quantity: scarce.available + 1,
      ends: 'REJECTED',
    },
    { ...order, title: 'Cancelled after payment', cancelWhen: 'PAID', ends: 'CANCELLED' },
  ];
  for (const wish of wishes) await tell(customer, wish);
  say(`\nE-mails to the customer: http://localhost:${portsAt(offset).mailWeb}`);
  await customer.close();
}

async function newCustomer(): Promise<Client> {
  const anonymous = createClient(api);
  const email = `demo-${randomBytes(4).toString('hex')}@example.com`;
  const password = randomBytes(12).toString('base64url');
  unwrap(await anonymous('POST /api/users/register', { body: { email, password, name: 'Demo' } }));
  const customer = await anonymous.logIn({ email, password });
  say(`Registered and logged in as ${email}`);
  return customer;
}

/** Places an order and tells how it goes, until it is final. */
async function tell(customer: Client, wish: Wish): Promise<void> {
  const { title, product, quantity, card, ends, cancelWhen } = wish;
  const traceId = randomBytes(16).toString('hex');
  const headers = { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` };
  say(`\n${title}: ${quantity} x ${product}, ${card}`);
  say(`  trace ${zipkin}/zipkin/traces/${traceId}`);
  const started = performance.now();
  const answer = await customer('POST /api/orders', {
    body: { items: [{ product_id: product, quantity }], payment: { method: 'card', card_token: card } },
    headers,
  });
  const { order_id: id, total, currency } = unwrap(answer);
  say(`  order ${id}, ${formatMoney(total, currency)}`);

  let seen: OrderStatus | undefined;
  for await (const { order } of customer.watch(id, { signal: AbortSignal.timeout(PATIENCE_MS) })) {
    seen = order.status;
    const seconds = ((performance.now() - started) / 1000).toFixed(2).padStart(6);
    say(`  ${seconds} s  ${order.status}${order.reason ? `: ${order.reason}` : ''}`);
    if (order.status === cancelWhen)
      unwrap(await customer('POST /api/orders/:id/cancel', { params: { id }, headers }));
  }
  if (!seen || !FINAL_STATUSES.has(seen))
    throw new Error(
      `The order makes no progress (status: ${seen ?? 'unknown'}). See GET ${api}/health for unavailable services.`,
    );
  if (seen !== ends) throw new Error(`The order ended as ${seen}, but ${ends} was expected.`);
}

function say(line: string): void {
  console.log(line);
}
