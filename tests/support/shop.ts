import { randomBytes, randomUUID } from 'node:crypto';
import { client, type Client } from '../../services/gateway/client.ts';
import type { Order, OrderStatus } from '../../services/orders/contract.ts';
import type { Product } from '../../services/inventory/contract.ts';
import type { Payment } from '../../services/payments/contract.ts';
import { until } from './wait.ts';

/** The public API as one caller uses it. */
export interface Caller {
  userId: string;
  email: string;
  call: Client;
}

export async function login(api: string, email: string, password: string): Promise<Caller> {
  const { status, body } = await client(api)<{ access_token: string }>('POST', '/api/users/login', {
    email,
    password,
  });
  if (status !== 200) throw new Error(`login of ${email}: ${status} ${JSON.stringify(body)}`);
  const claims = JSON.parse(Buffer.from(body.access_token.split('.')[1] ?? '', 'base64url').toString()) as {
    sub: string;
  };
  return { userId: claims.sub, email, call: client(api, body.access_token) };
}

/** A new customer, registered and logged in. */
export async function newCustomer(api: string): Promise<Caller> {
  const email = `customer-${randomUUID()}@example.com`;
  const { status, body } = await client(api)('POST', '/api/users/register', {
    email,
    password: 'correct horse',
    name: 'Ada <b>Lovelace</b>',
  });
  if (status !== 201) throw new Error(`register: ${status} ${JSON.stringify(body)}`);
  return login(api, email, 'correct horse');
}

export interface Placed {
  orderId: string;
  /** The trace that the request began. */
  traceId: string;
}

/** Places an order for one product and expects it to be accepted. */
export async function placeOrder(
  customer: Caller,
  { product = 'mug-blue', quantity = 1, card = 'tok_visa' } = {},
): Promise<Placed> {
  const traceId = randomBytes(16).toString('hex');
  const answer = await customer.call<{ order_id: string }>(
    'POST',
    '/api/orders',
    { items: [{ product_id: product, quantity }], payment: { method: 'card', card_token: card } },
    { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` },
  );
  if (answer.status !== 201) throw new Error(`order: ${answer.status} ${JSON.stringify(answer.body)}`);
  return { orderId: answer.body.order_id, traceId };
}

export async function orderOf(customer: Caller, orderId: string): Promise<Order> {
  return (await customer.call<Order>('GET', `/api/orders/${orderId}`)).body;
}

export function untilStatus(
  customer: Caller,
  orderId: string,
  status: OrderStatus,
  deadlineMs?: number,
): Promise<Order> {
  return until(
    `order ${orderId} is ${status}`,
    () => orderOf(customer, orderId),
    (order) => order.status === status,
    deadlineMs,
  );
}

export async function productOf(caller: Caller, productId: string): Promise<Product> {
  return (await caller.call<Product>('GET', `/api/inventory/${productId}`)).body;
}

export async function paymentOf(caller: Caller, orderId: string): Promise<Payment | undefined> {
  return (await caller.call<{ items: Payment[] }>('GET', `/api/payments?order_id=${orderId}`)).body.items[0];
}
