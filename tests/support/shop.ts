import { randomBytes, randomUUID } from 'node:crypto';
import { unwrap, createClient, type Client } from '../../services/gateway/client/client.ts';
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

export interface Credentials {
  email: string;
  password: string;
}

export async function login(api: string, email: string, password: string): Promise<Caller> {
  const call = await createClient(api).logIn({ email, password });
  const [, claims = ''] = call.tokens()?.access_token.split('.') ?? [];
  const { sub } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { sub: string };
  return { userId: sub, email, call };
}

/** Makes an account. */
export async function register(client: Client): Promise<Credentials> {
  const credentials = { email: `customer-${randomUUID()}@example.com`, password: 'correct horse' };
  const body = { ...credentials, name: 'Ada <b>Lovelace</b>' };
  unwrap(await client('POST /api/users/register', { body }));
  return credentials;
}

/** A new customer, registered and logged in. */
export async function newCustomer(api: string): Promise<Caller> {
  const { email, password } = await register(createClient(api));
  return login(api, email, password);
}

export interface Placed {
  orderId: string;
  /** The trace that the request began. */
  traceId: string;
}

/** Places an order for one product and expects it to be accepted. */
export async function placeOrder(
  { call }: Caller,
  { product = 'mug-blue', quantity = 1, card = 'tok_visa' } = {},
): Promise<Placed> {
  const traceId = randomBytes(16).toString('hex');
  const answer = await call('POST /api/orders', {
    body: { items: [{ product_id: product, quantity }], payment: { method: 'card', card_token: card } },
    headers: { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` },
  });
  return { orderId: unwrap(answer).order_id, traceId };
}

/** Callers are told to try again while something is away, or a sidecar still takes it for that. */
export async function placeAtLast(customer: Caller): Promise<Placed> {
  const [placed] = await until(
    'an order is taken',
    () => Promise.allSettled([placeOrder(customer)]),
    ([outcome]) => outcome.status === 'fulfilled',
  );
  if (placed.status === 'rejected') throw placed.reason;
  return placed.value;
}

export async function orderOf({ call }: Caller, orderId: string): Promise<Order> {
  return unwrap(await call('GET /api/orders/:id', { params: { id: orderId } }));
}

/** Asks until the order is so; an answer that is no success, from a service that is not back yet, is one that it is not. */
export async function untilStatus(
  { call }: Caller,
  orderId: string,
  status: OrderStatus,
  deadlineMs?: number,
): Promise<Order> {
  const answer = await until(
    `order ${orderId} is ${status}`,
    () => call('GET /api/orders/:id', { params: { id: orderId } }),
    (given) => given.ok && given.body.status === status,
    deadlineMs,
  );
  return unwrap(answer);
}

export async function productOf({ call }: Caller, productId: string): Promise<Product> {
  return unwrap(await call('GET /api/inventory/:product_id', { params: { product_id: productId } }));
}

export async function paymentOf({ call }: Caller, orderId: string): Promise<Payment | undefined> {
  const { items } = unwrap(await call('GET /api/payments', { query: { order_id: orderId } }));
  return items[0];
}
