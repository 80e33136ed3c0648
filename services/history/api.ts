import { z } from 'zod';
import { orderEvents, orderListSchema, orderSchema } from '../orders/contract.ts';
import {
  EXAMPLE,
  subscribedTo,
  type ServiceApi,
  type ServiceDescription,
} from '../shared/api-docs/route-table.ts';
import { id, noBody } from '../shared/schemas/types.ts';
import { userEvents } from '../users/contract.ts';
import {
  adminOrderListQuery,
  customerTotalsSchema,
  deadLetterId,
  deadLetterListQuery,
  deadLetterListSchema,
  deadLetterSchema,
  orderListQuery,
  rebuildSchema,
  type DeadLetter,
  type Rebuild,
} from './contract.ts';
import { baseConfig } from '../shared/runtime/config.ts';
import { METRICS } from './metrics.ts';

const params = z.object({ id: deadLetterId });
const deadLetter: DeadLetter = {
  dead_letter_id: EXAMPLE.deadLetter,
  type: 'payment.failed',
  event_id: `${EXAMPLE.order}:failed`,
  received_at: '2026-01-05T09:30:00.000Z',
  redriven: 0,
  event: { specversion: '1.0', type: 'payment.failed', data: { order_id: EXAMPLE.order } },
};

const rebuild: Rebuild = { status: 'running', started_at: '2026-01-05T09:30:00.000Z', orders: 1200 };

/** The routes of `history`. */
export const historyApi = {
  'GET /api/orders': {
    access: 'customer',
    summary: 'List orders, newest first',
    query: orderListQuery,
    response: orderListSchema,
    responseExample: { items: [], next_cursor: null },
  },
  'GET /api/admin/orders': {
    access: 'admin',
    summary: 'List the orders of all customers, newest first',
    description: 'With `stuck=true`, the list has only stuck orders, the longest idle first.',
    query: adminOrderListQuery,
    response: orderListSchema,
    responseExample: { items: [], next_cursor: null },
  },
  'GET /api/customers/:customer_id/totals': {
    access: 'customer',
    summary: 'Get the totals of a customer',
    params: z.object({ customer_id: id }),
    response: customerTotalsSchema,
    responseExample: {
      customer_id: EXAMPLE.customer,
      orders: 3,
      by_status: { DELIVERED: 2, CANCELLED: 1 },
      spent: { EUR: 5160 },
    },
  },
  'GET /api/admin/dead-letters': {
    access: 'admin',
    summary: 'List dead letters',
    query: deadLetterListQuery,
    response: deadLetterListSchema,
    responseExample: { items: [deadLetter], next_cursor: null },
  },
  'GET /api/admin/dead-letters/:id': {
    access: 'admin',
    summary: 'Get a dead letter',
    params,
    response: deadLetterSchema,
    responseExample: deadLetter,
  },
  'POST /api/admin/dead-letters/:id/redrive': {
    access: 'admin',
    summary: 'Redrive a dead letter',
    params,
    idempotent: true,
    body: noBody.optional(),
    status: 202,
    response: deadLetterSchema,
    problems: {
      'not-redrivable': { status: 409, description: 'The dead letter is not an event of a known type.' },
    },
    responseExample: { ...deadLetter, redriven: 1 },
  },
  'GET /api/admin/history/rebuild': {
    access: 'admin',
    summary: 'Get the status of the last rebuild of the read model',
    response: rebuildSchema,
    responseExample: { ...rebuild, status: 'done', finished_at: '2026-01-05T09:31:00.000Z' },
  },
  'POST /api/admin/history/rebuild': {
    access: 'admin',
    summary: 'Rebuild the read model, or join the rebuild in progress',
    idempotent: true,
    body: noBody.optional(),
    status: 202,
    response: rebuildSchema,
    responseExample: { ...rebuild, orders: 0 },
  },
} satisfies ServiceApi;

export const history = {
  name: 'history',
  summary: 'Order lists, totals and dead letters',
  api: historyApi,
  events: [],
  calls: { orders: ['GET /orders', 'DELETE /orders/:id/reason'] },
  subscribes: [subscribedTo(orderEvents, ...orderEvents.types), subscribedTo(userEvents, 'user.deleted')],
  uses: ['state', 'jobs'],
  keepsDeadLetters: true,
  config: baseConfig,
  metrics: METRICS,
  state: {
    'order:{order_id}': 'An order of the read model.',
    'open:{bucket}': 'The ids of open orders, by the last two digits of the id.',
    'totals:{customer_id}': 'The totals of a customer.',
    'index:customer:{customer_id}': "The number of a customer's orders.",
    'index:customer:{customer_id}:{page}': 'The ids of a hundred orders of a customer.',
    'index:all': 'The number of all orders.',
    'index:all:{page}': 'The ids of a hundred orders.',
    'dead-letter:{dead_letter_id}': 'A dead letter.',
    'index:dead-letters': 'The number of dead letters.',
    'index:dead-letters:{page}': 'The ids of a hundred dead letters.',
    rebuild: 'The progress of the last rebuild.',
    'erasure:{customer_id}': 'The progress of an erasure.',
  },
  schemas: {
    Order: orderSchema,
    OrderList: orderListSchema,
    CustomerTotals: customerTotalsSchema,
    DeadLetter: deadLetterSchema,
    DeadLetterList: deadLetterListSchema,
    Rebuild: rebuildSchema,
  },
} satisfies ServiceDescription;
