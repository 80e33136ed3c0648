import { z } from 'zod';
import {
  describeEvents,
  EXAMPLE,
  subscribedTo,
  type ServiceApi,
  type ServiceDescription,
} from '../shared/api-docs/route-table.ts';
import { id, noBody } from '../shared/schemas/types.ts';
import { userEvents } from '../users/contract.ts';
import { config } from './config.ts';
import {
  receiveBody,
  requestReturnBody,
  returnEvents,
  returnListSchema,
  returnSchema,
  returnsQuery,
  type Return,
} from './contract.ts';
import { METRICS } from './metrics.ts';

const params = z.object({ id });

function example(status: Return['status'], version: number, more: Partial<Return> = {}): Return {
  return {
    return_id: EXAMPLE.return,
    order_id: EXAMPLE.order,
    customer_id: EXAMPLE.customer,
    status,
    items: [{ product_id: EXAMPLE.product, name: 'Mug, blue', quantity: 1, unit_price: 1290 }],
    total: 1290,
    currency: 'EUR',
    reason: 'It has a crack',
    received: [],
    version,
    created_at: '2026-01-12T09:30:00.000Z',
    updated_at: '2026-01-12T09:30:00.000Z',
    ...more,
  };
}

const approved = { label: 'RT01940F8E7C21', expires_at: '2026-01-26T09:30:00.000Z' };
const arrived = {
  ...approved,
  received: [{ product_id: EXAMPLE.product, quantity: 1, sellable: true }],
};

const illegalStep = {
  'illegal-step': { status: 409, description: 'The status of the return does not allow this step.' },
};

/** The routes of `returns`. */
export const returnsApi = {
  'POST /api/orders/:id/returns': {
    access: 'customer',
    summary: 'Request the return of delivered lines',
    params,
    idempotent: true,
    body: requestReturnBody,
    status: 201,
    response: returnSchema,
    problems: {
      'order-not-delivered': { status: 409, description: 'The order is not delivered.' },
      'return-window-over': { status: 409, description: 'The order was delivered too long ago.' },
      'quantity-too-high': { status: 409, description: 'A quantity exceeds what is left of its line.' },
      'unknown-line': { status: 422, description: 'The order does not have a line of this product.' },
    },
    examples: {
      'One of two mugs': {
        items: [{ product_id: EXAMPLE.product, quantity: 1 }],
        reason: 'It has a crack',
      },
    },
    responseExample: example('REQUESTED', 1),
  },
  'GET /api/orders/:id/returns': {
    access: 'customer',
    summary: 'List the returns of an order',
    params,
    response: returnListSchema,
    responseExample: { items: [example('APPROVED', 2, approved)], next_cursor: null },
  },
  'GET /api/returns': {
    access: 'admin',
    summary: 'List returns, newest first',
    description: 'A page may have fewer returns than its limit, also none, although more follow.',
    query: returnsQuery,
    response: returnListSchema,
    responseExample: { items: [example('REQUESTED', 1)], next_cursor: null },
  },
  'GET /api/returns/:id': {
    access: 'customer',
    summary: 'Get a return',
    params,
    response: returnSchema,
    responseExample: example('APPROVED', 2, approved),
  },
  'POST /api/returns/:id/approve': {
    access: 'admin',
    summary: 'Approve a return',
    params,
    body: noBody.optional(),
    response: returnSchema,
    problems: illegalStep,
    responseExample: example('APPROVED', 2, approved),
  },
  'POST /api/returns/:id/reject': {
    access: 'admin',
    summary: 'Reject a return',
    params,
    body: noBody.optional(),
    response: returnSchema,
    problems: illegalStep,
    responseExample: example('REJECTED', 2),
  },
  'POST /api/returns/:id/receive': {
    access: 'admin',
    summary: 'Confirm what has arrived of a return',
    description: 'The price of what has arrived is refunded.',
    params,
    body: receiveBody.optional(),
    response: returnSchema,
    problems: {
      ...illegalStep,
      'quantity-too-high': { status: 409, description: 'A quantity exceeds that of the return.' },
    },
    examples: {
      Everything: {},
      'A broken mug': {
        items: [{ product_id: EXAMPLE.product, quantity: 1 }],
        condition: 'damaged',
      },
    },
    responseExample: example('RECEIVED', 3, arrived),
  },
  'POST /api/returns/:id/cancel': {
    access: 'customer',
    summary: 'Cancel a return before its parcel has arrived',
    params,
    body: noBody.optional(),
    response: returnSchema,
    problems: illegalStep,
    responseExample: example('CANCELLED', 2),
  },
} satisfies ServiceApi;

function eventExample(status: Return['status'], version: number, more: Partial<Return> = {}) {
  const { reason: _, ...shown } = example(status, version, more);
  return { return: shown };
}

/** The events that `returns` publishes. */
const events = describeEvents(returnEvents, {
  'return.requested': {
    summary: 'A customer wants to return lines of an order',
    example: eventExample('REQUESTED', 1),
  },
  'return.approved': {
    summary: 'The shop expects the parcel of a return',
    example: eventExample('APPROVED', 2, approved),
  },
  'return.received': {
    summary: 'The parcel of a return has arrived',
    example: eventExample('RECEIVED', 3, arrived),
  },
  'return.refunded': {
    summary: 'The price of the received lines is refunded',
    example: { ...eventExample('REFUNDED', 4, { ...arrived, refunded: 1290 }), order_refunded: 1290 },
  },
  'return.rejected': { summary: 'The shop rejects a return', example: eventExample('REJECTED', 2) },
  'return.cancelled': { summary: 'A return is cancelled', example: eventExample('CANCELLED', 2) },
  'return.expired': {
    summary: 'The parcel of a return has not arrived in time',
    example: eventExample('EXPIRED', 3, approved),
  },
});

export const returns = {
  name: 'returns',
  summary: 'Returns and partial refunds',
  api: returnsApi,
  events: [events],
  calls: {
    orders: ['GET /orders'],
    payments: ['PUT /refunds/:order_id/:return_id'],
    inventory: ['PUT /returns/:order_id/:return_id'],
  },
  subscribes: [subscribedTo(userEvents, 'user.deleted')],
  uses: ['state', 'workflows'],
  config,
  metrics: METRICS,
  state: {
    'return:{return_id}': 'A return.',
    'order-returns:{order_id}': 'The ids of the returns of an order.',
    'index:returns': 'The number of returns.',
    'index:returns:{page}': 'The ids of a hundred returns.',
    'index:customer:{customer_id}': "The number of a customer's returns.",
    'index:customer:{customer_id}:{page}': 'The ids of a hundred returns of a customer.',
    sweep: 'The place in the list of returns before which all have ended.',
  },
  schemas: { Return: returnSchema, ReturnList: returnListSchema },
} satisfies ServiceDescription;
