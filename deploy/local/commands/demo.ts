import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { unwrap, createClient, type Client } from '../../../services/gateway/client/client.ts';
import { FINAL_STATUSES, type OrderStatus } from '../../../services/orders/contract.ts';
import { orExit } from '../../../services/shared/runtime/shutdown.ts';
import type { Return, ReturnStatus } from '../../../services/returns/contract.ts';
import { formatMoney } from '../../../services/shared/schemas/money.ts';
import { portsAt } from '../configuration/ports.ts';
import { readSettings } from '../configuration/settings.ts';
import { findAdmin } from '../system/admin.ts';
import { parseArguments } from './arguments.ts';
import { dataFolder } from './data-folders.ts';

/** `npm run demo`: places four orders in the running system and returns one of them, and prints each step. */

const { PORT_OFFSET: offset = 0, SIDECART_API_URL } = await orExit(process, () => {
  parseArguments({});
  return readSettings();
});
const api = SIDECART_API_URL ?? `http://localhost:${8080 + offset}`;
const zipkin = `http://localhost:${portsAt(offset).zipkin}`;

const ORDER_TIMEOUT_MS = 60_000;

interface DemoOrder {
  title: string;
  product: string;
  quantity: number;
  card: string;
  /** The expected last status. */
  finalStatus: OrderStatus;
  cancelWhen?: OrderStatus;
}

try {
  await main();
} catch (error) {
  // Only errors of the network have a code.
  const isUnreachable = error instanceof Error && 'code' in error;
  console.error(
    isUnreachable ? `No response from ${api}. Start the system first: npm start` : (error as Error).message,
  );
  process.exit(1);
}

async function main(): Promise<void> {
  const customer = await registerCustomer();
  const { items } = unwrap(await customer('GET /api/inventory'));
  const plenty = items.find(({ available }) => available >= 10);
  const scarce = items.toSorted((one, other) => one.available - other.available)[0];
  if (!plenty || !scarce)
    throw new Error('Not enough products are in stock. Delete .sidecart and start the system again.');

  const order = { product: plenty.product_id, quantity: 1, card: 'tok_visa' };
  const demoOrders: DemoOrder[] = [
    { ...order, title: 'Delivered order', quantity: 2, finalStatus: 'DELIVERED' },
    { ...order, title: 'Declined card', card: 'tok_chargeDeclined', finalStatus: 'PAYMENT_FAILED' },
    {
      ...order,
      title: 'Out of stock',
      product: scarce.product_id,
      quantity: scarce.available + 1,
      finalStatus: 'REJECTED',
    },
    { ...order, title: 'Cancelled after payment', cancelWhen: 'PAID', finalStatus: 'CANCELLED' },
  ];
  const ids: string[] = [];
  for (const demoOrder of demoOrders) ids.push(await placeAndWatch(customer, demoOrder));
  await sendBack(customer, ids[0] ?? '', order.product);
  print(`\nE-mails to the customer: http://localhost:${portsAt(offset).mailWeb}`);
  await customer.close();
}

async function registerCustomer(): Promise<Client> {
  const anonymous = createClient(api);
  const email = `demo-${randomBytes(4).toString('hex')}@example.com`;
  const password = randomBytes(12).toString('base64url');
  unwrap(await anonymous('POST /api/users/register', { body: { email, password, name: 'Demo' } }));
  const customer = await anonymous.logIn({ email, password });
  print(`Registered and logged in as ${email}`);
  return customer;
}

/** Places an order and prints each status until the final one. */
async function placeAndWatch(customer: Client, demoOrder: DemoOrder): Promise<string> {
  const { title, product, quantity, card, finalStatus, cancelWhen } = demoOrder;
  const traceId = randomBytes(16).toString('hex');
  const headers = { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` };
  print(`\n${title}: ${quantity} x ${product}, ${card}`);
  print(`  trace ${zipkin}/zipkin/traces/${traceId}`);
  const startedAt = performance.now();
  const response = await customer('POST /api/orders', {
    body: { items: [{ product_id: product, quantity }], payment: { method: 'card', card_token: card } },
    headers,
  });
  const { order_id: id, total, currency } = unwrap(response);
  print(`  order ${id}, ${formatMoney(total, currency)}`);

  let status: OrderStatus | undefined;
  for await (const { order } of customer.watch(id, { signal: AbortSignal.timeout(ORDER_TIMEOUT_MS) })) {
    status = order.status;
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(2).padStart(6);
    print(`  ${seconds} s  ${order.status}${order.reason ? `: ${order.reason}` : ''}`);
    if (order.status === cancelWhen)
      unwrap(await customer('POST /api/orders/:id/cancel', { params: { id }, headers }));
  }
  if (!status || !FINAL_STATUSES.has(status))
    throw new Error(
      `The order makes no progress (status: ${status ?? 'unknown'}). See GET ${api}/health for unavailable services.`,
    );
  if (status !== finalStatus)
    throw new Error(`The order ended as ${status}, but ${finalStatus} was expected.`);
  return id;
}

/** Returns one piece of the delivered order. Without a local administrator, it ends when the shop expects the parcel. */
async function sendBack(customer: Client, orderId: string, product: string): Promise<void> {
  print(`\nReturn: 1 x ${product} of order ${orderId}`);
  const requested = unwrap(
    await customer('POST /api/orders/:id/returns', {
      params: { id: orderId },
      body: { items: [{ product_id: product, quantity: 1 }], reason: 'It has a crack' },
    }),
  );
  const params = { id: requested.return_id };
  print(`  return ${params.id}, ${formatMoney(requested.total, requested.currency)}`);
  const found = SIDECART_API_URL ? undefined : findAdmin(dataFolder(offset, undefined));
  const admin = found && (await createClient(api).logIn({ email: found.email, password: found.password }));
  if (!admin) return print('  REQUESTED. An administrator continues: POST /api/returns/:id/approve');
  // A rule may have approved it.
  await admin('POST /api/returns/:id/approve', { params });
  await watchReturn(customer, params.id, 'APPROVED');
  unwrap(await admin('POST /api/returns/:id/receive', { params }));
  const { refunded = 0, currency } = await watchReturn(customer, params.id, 'REFUNDED');
  print(`  refunded: ${formatMoney(refunded, currency)}`);
  await admin.close();
}

async function watchReturn(customer: Client, id: string, status: ReturnStatus): Promise<Return> {
  const deadline = performance.now() + ORDER_TIMEOUT_MS;
  while (performance.now() < deadline) {
    const found = unwrap(await customer('GET /api/returns/:id', { params: { id } }));
    if (found.status === status) {
      print(`  ${status}`);
      return found;
    }
    await delay(200);
  }
  throw new Error(`The return does not become ${status}. See GET ${api}/health for unavailable services.`);
}

function print(line: string): void {
  console.log(line);
}
