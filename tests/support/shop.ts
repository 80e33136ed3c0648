import { randomBytes, randomUUID } from 'node:crypto';
import { unwrap, createClient, type Client } from '../../services/gateway/client/client.ts';
import type { Order, OrderStatus } from '../../services/orders/contract.ts';
import type { Product } from '../../services/inventory/contract.ts';
import type { Payment } from '../../services/payments/contract.ts';
import { firstSuccess, waitFor } from './wait.ts';

/** A logged-in user of the public API. */
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

/** Registers a user. */
export async function register(client: Client): Promise<Credentials> {
  const credentials = { email: `customer-${randomUUID()}@example.com`, password: 'correct horse' };
  const body = { ...credentials, name: 'Ada <b>Lovelace</b>' };
  unwrap(await client('POST /api/users/register', { body }));
  return credentials;
}

/** Registers a customer and logs in. */
export async function registerCustomer(api: string): Promise<Caller> {
  const { email, password } = await register(createClient(api));
  return login(api, email, password);
}

export interface PlacedOrder {
  orderId: string;
  /** The trace of the request. */
  traceId: string;
}

/** Places an order for one product and expects it to be accepted. */
export async function placeOrder(
  { call }: Caller,
  { product = 'mug-blue', quantity = 1, card = 'tok_visa' } = {},
): Promise<PlacedOrder> {
  const traceId = randomBytes(16).toString('hex');
  const response = await call('POST /api/orders', {
    body: { items: [{ product_id: product, quantity }], payment: { method: 'card', card_token: card } },
    headers: { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` },
  });
  return { orderId: unwrap(response).order_id, traceId };
}

/** Retries while a service is unavailable, or its circuit breaker is still open. */
export const placeOrderWithRetry = (customer: Caller): Promise<PlacedOrder> =>
  firstSuccess('an order is accepted', () => placeOrder(customer));

export async function getOrder({ call }: Caller, orderId: string): Promise<Order> {
  return unwrap(await call('GET /api/orders/:id', { params: { id: orderId } }));
}

/** Polls until the order has the status. A response with an error, from a service that is not back yet, does not end it. */
export async function waitForStatus(
  { call }: Caller,
  orderId: string,
  status: OrderStatus,
  deadlineMs?: number,
): Promise<Order> {
  const response = await waitFor(
    `order ${orderId} is ${status}`,
    () => call('GET /api/orders/:id', { params: { id: orderId } }),
    { until: (polled) => polled.ok && polled.body.status === status, timeoutMs: deadlineMs },
  );
  return unwrap(response);
}

export async function getProduct({ call }: Caller, productId: string): Promise<Product> {
  return unwrap(await call('GET /api/inventory/:product_id', { params: { product_id: productId } }));
}

export async function getPayment({ call }: Caller, orderId: string): Promise<Payment | undefined> {
  const { items } = unwrap(await call('GET /api/payments', { query: { order_id: orderId } }));
  return items[0];
}
