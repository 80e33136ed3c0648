import { z } from 'zod';
import {
  customerTotalsSchema,
  deadLetterListQuery,
  deadLetterListSchema,
  deadLetterSchema,
  orderListQuery,
} from '../history/contract.ts';
import { productListSchema, productSchema, putProductBody, restockBody } from '../inventory/contract.ts';
import {
  cancelBody,
  cartBody,
  oneLineBody,
  orderAcceptedSchema,
  orderEventSchema,
  orderListSchema,
  orderSchema,
  putStatusBody,
} from '../orders/contract.ts';
import { ledgerSchema, paymentListQuery, paymentListSchema, paymentSchema } from '../payments/contract.ts';
import { pageQuery } from '../shared/paged-index.ts';
import {
  loginBody,
  putUserBody,
  registerBody,
  tokenSchema,
  userListSchema,
  userSchema,
} from '../users/contract.ts';

/** The services behind the gateway. */
export const SERVICES = [
  'users',
  'inventory',
  'orders',
  'payments',
  'fulfilment',
  'notifications',
  'history',
] as const;
export type Service = (typeof SERVICES)[number];
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

export type Access = 'public' | 'customer' | 'admin';

/** What the API's description says of a route beside its address. */
interface Description {
  query?: z.ZodObject;
  body?: z.ZodType;
  /** Request headers beyond the usual ones, and what they do. */
  headers?: Record<string, string>;
  /** The status of success; 200 where none is named. */
  status?: 200 | 201 | 202 | 204;
  answer?: z.ZodType;
}

/** An address of the API: who serves it and who may call it. */
export interface Route extends Description {
  method: Method;
  /** As Express has it: `:id` is one segment. The service has the same address. */
  path: string;
  service: Service;
  /** `customer`: everyone with a token; whose things these are is for the service to judge. */
  access: Access;
  summary: string;
}

function route(
  address: `${Method} /${string}`,
  service: Service,
  access: Access,
  summary: string,
  description: Description,
): Route {
  const [method, path] = address.split(' ') as [Method, string];
  return { method, path, service, access, summary, ...description };
}

const anOrder = z.union([cartBody, oneLineBody]);
const orderEventList = z.object({ items: z.array(orderEventSchema) });
const jwks = z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string() })) });
const idempotencyKey = { 'Idempotency-Key': 'The same key again gives the same order, never a second one.' };

/** The API. What is asked most stands first: addresses are tried in this order. */
export const routes: readonly Route[] = [
  route('GET /api/orders/:id', 'orders', 'customer', 'An order', { answer: orderSchema }),
  route('POST /api/orders', 'orders', 'customer', 'Place an order', {
    headers: idempotencyKey,
    body: anOrder,
    status: 201,
    answer: orderAcceptedSchema,
  }),
  route('GET /api/orders', 'history', 'customer', 'Orders, newest first', {
    query: orderListQuery,
    answer: orderListSchema,
  }),
  route('GET /api/orders/:id/events', 'orders', 'customer', 'What happened to an order', {
    answer: orderEventList,
  }),
  route('POST /api/orders/:id/cancel', 'orders', 'customer', 'Cancel an order before it is shipped', {
    body: cancelBody.optional(),
    answer: orderSchema,
  }),
  route('PUT /api/orders/:id/status', 'orders', 'admin', 'Bring an order into a status by hand', {
    body: putStatusBody,
    answer: orderSchema,
  }),

  route('GET /api/inventory', 'inventory', 'customer', 'The catalogue', {
    query: pageQuery,
    answer: productListSchema,
  }),
  route('GET /api/inventory/:product_id', 'inventory', 'customer', 'A product', { answer: productSchema }),
  route('PUT /api/inventory/:product_id', 'inventory', 'admin', 'Make a product, or name and price it anew', {
    body: putProductBody,
    answer: productSchema,
  }),
  route('POST /api/inventory/:product_id/restock', 'inventory', 'admin', 'Add to the stock of a product', {
    body: restockBody,
    answer: productSchema,
  }),

  route('GET /api/payments', 'payments', 'customer', 'The payment of an order', {
    query: paymentListQuery,
    answer: paymentListSchema,
  }),
  route('GET /api/payments/ledger/:order_id', 'payments', 'admin', 'What the provider booked for an order', {
    answer: ledgerSchema,
  }),
  route('POST /api/payments/:order_id/refund', 'payments', 'admin', 'Give the money of an order back', {
    answer: paymentSchema,
  }),

  route('POST /api/users/register', 'users', 'public', 'Make an account', {
    body: registerBody,
    status: 201,
    answer: userSchema,
  }),
  route('POST /api/users/login', 'users', 'public', 'Get an access token', {
    body: loginBody,
    answer: tokenSchema,
  }),
  route('GET /.well-known/jwks.json', 'users', 'public', 'The keys to verify access tokens with', {
    answer: jwks,
  }),
  route('GET /api/users', 'users', 'admin', 'All accounts', { query: pageQuery, answer: userListSchema }),
  route('GET /api/users/:id', 'users', 'customer', 'An account', { answer: userSchema }),
  route('PUT /api/users/:id', 'users', 'customer', 'Change an account', {
    body: putUserBody,
    answer: userSchema,
  }),
  route('DELETE /api/users/:id', 'users', 'customer', 'Delete an account', { status: 204 }),

  route('GET /api/customers/:customer_id/totals', 'history', 'customer', 'What a customer ordered and paid', {
    answer: customerTotalsSchema,
  }),
  route('GET /api/admin/dead-letters', 'history', 'admin', 'Messages that no service could process', {
    query: deadLetterListQuery,
    answer: deadLetterListSchema,
  }),
  route('GET /api/admin/dead-letters/:id', 'history', 'admin', 'Such a message', {
    answer: deadLetterSchema,
  }),
  route('POST /api/admin/dead-letters/:id/redrive', 'history', 'admin', 'Send such a message again', {
    status: 202,
    answer: deadLetterSchema,
  }),
];
