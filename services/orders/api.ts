import { z } from 'zod';
import { shipmentEvents } from '../fulfilment/contract.ts';
import { inventoryEvents } from '../inventory/contract.ts';
import { paymentEvents } from '../payments/contract.ts';
import { returnEvents } from '../returns/contract.ts';
import {
  describeEvents,
  EXAMPLE,
  subscribedTo,
  type ServiceApi,
  type ServiceDescription,
} from '../shared/api-docs/route-table.ts';
import { id } from '../shared/schemas/types.ts';
import {
  cancelBody,
  ERASED_REASON,
  cartBody,
  oneLineBody,
  orderAcceptedSchema,
  orderBroadcasts,
  orderChangesQuery,
  orderChangesSchema,
  orderEventListSchema,
  orderEvents,
  orderListSchema,
  orderSchema,
  ordersQuery,
  paymentMethodSchema,
  putStatusBody,
  type Order,
  type OrderStatus,
} from './contract.ts';
import { config } from './config.ts';
import { METRICS } from './metrics.ts';

const params = z.object({ id });
const created_at = '2026-01-05T09:30:00.000Z';
const updated_at = '2026-01-05T09:30:00.040Z';
const returned = { return_id: EXAMPLE.return, items: [{ product_id: EXAMPLE.product, quantity: 1 }] };
const paid = { payment_id: EXAMPLE.payment };
const payment = { method: 'card', card_token: 'tok_visa' } as const;

function example(status: OrderStatus, version: number, more: Partial<Order> = {}): Order {
  return {
    order_id: EXAMPLE.order,
    customer_id: EXAMPLE.customer,
    status,
    items: [{ product_id: EXAMPLE.product, name: 'Mug, blue', quantity: 2, unit_price: 1290 }],
    total: 2580,
    currency: 'EUR',
    version,
    created_at,
    updated_at,
    ...more,
  };
}

/** The orders service's routes. */
export const ordersApi = {
  'GET /api/orders/:id': {
    access: 'customer',
    summary: 'Get an order',
    params,
    etag: true,
    response: orderSchema,
    responseExample: example('PAID', 3),
  },
  'POST /api/orders': {
    access: 'customer',
    summary: 'Place an order',
    idempotent: true,
    body: z.union([cartBody, oneLineBody]),
    status: 201,
    response: orderAcceptedSchema,
    problems: {
      'price-differs': { status: 409, description: 'A price, the amount or the currency has changed.' },
      'unknown-product': { status: 422, description: 'A product does not exist.' },
      'mixed-currencies': { status: 422, description: 'The products have different currencies.' },
      'unknown-customer': { status: 422, description: 'The customer does not exist.' },
    },
    examples: {
      'A cart': { items: [{ product_id: EXAMPLE.product, quantity: 2 }], payment },
      'One product': { product_id: EXAMPLE.product, quantity: 1 },
    },
    responseExample: {
      order_id: EXAMPLE.order,
      status: 'PENDING',
      message: 'Order accepted. Poll or stream its status for progress.',
      total: 2580,
      currency: 'EUR',
    },
  },
  'GET /api/orders/:id/events': {
    access: 'customer',
    summary: 'List the events of an order',
    params,
    response: orderEventListSchema,
    responseExample: {
      items: [{ id: `${EXAMPLE.order}:3`, type: 'order.paid', version: 3, time: updated_at, data: paid }],
    },
  },
  'POST /api/orders/:id/cancel': {
    access: 'customer',
    summary: 'Cancel an order before it is shipped',
    params,
    idempotent: true,
    body: cancelBody.optional(),
    response: orderSchema,
    problems: {
      'not-cancellable': { status: 409, description: 'The order is already shipped or final.' },
    },
    examples: { 'With a reason': { reason: 'Found it at home' } },
    responseExample: example('CANCELLED', 4, { reason: 'Found it at home' }),
  },
  'PUT /api/orders/:id/status': {
    access: 'admin',
    summary: "Set an order's status",
    params,
    etag: true,
    body: putStatusBody,
    response: orderSchema,
    problems: {
      'illegal-transition': { status: 409, description: 'No step leads to this status.' },
      'not-cancellable': { status: 409, description: 'The order is already shipped or final.' },
    },
    examples: { 'Ship it': { status: 'SHIPPED' } },
    responseExample: example('SHIPPED', 4),
  },
  'GET /orders/:id/payment-method': {
    access: 'internal',
    summary: 'Get the payment method of an order',
    params,
    response: paymentMethodSchema,
    responseExample: payment,
    problems: {
      forbidden: { status: 403, description: 'The caller is not `payments`.' },
      'card-erased': { status: 410, description: 'The payment is decided, or the order is final.' },
    },
  },
  'DELETE /orders/:id/reason': {
    access: 'internal',
    summary: 'Erase the reason of a cancelled order',
    params,
    response: orderSchema,
    responseExample: example('CANCELLED', 4, { reason: ERASED_REASON }),
  },
  'GET /orders/:id/changes': {
    access: 'internal',
    summary: 'List the changes of an order after a version',
    params,
    query: orderChangesQuery,
    problems: { 'no-such-version': { status: 400, description: 'The order has not reached this version.' } },
    response: orderChangesSchema,
  },
  'GET /orders': {
    access: 'internal',
    summary: 'List all orders, or get orders by their ids',
    query: ordersQuery,
    response: orderListSchema,
    responseExample: { items: [example('DELIVERED', 5)], next_cursor: '100' },
  },
} satisfies ServiceApi;

const ended = (status: OrderStatus, version: number, reason: string) => ({
  example: { order: example(status, version, { reason }) },
});

/** The events that `orders` publishes. */
const events = describeEvents(orderEvents, {
  'order.created': { summary: 'An order is accepted', example: { order: example('PENDING', 1) } },
  'payment.requested': {
    summary: 'The stock of the order is reserved, and the payment is due',
    example: { order: example('RESERVED', 2) },
  },
  'order.paid': {
    summary: 'The order is paid, and can be shipped',
    example: { order: example('PAID', 3) },
  },
  'order.payment_failed': {
    summary: 'The payment of the order failed',
    ...ended('PAYMENT_FAILED', 3, 'card declined'),
  },
  'order.rejected': {
    summary: 'The order is rejected, because stock is missing',
    ...ended('REJECTED', 2, 'out of stock: mug-blue'),
  },
  'order.shipped': {
    summary: 'The order has left the warehouse',
    example: { order: example('SHIPPED', 4, { tracking_number: EXAMPLE.tracking }) },
  },
  'order.delivered': {
    summary: 'The order has reached the customer',
    example: { order: example('DELIVERED', 5, { tracking_number: EXAMPLE.tracking }) },
  },
  'order.cancelled': {
    summary: 'The order is cancelled. A captured payment is refunded',
    ...ended('CANCELLED', 4, 'cancelled by the customer'),
  },
  'order.expired': {
    summary: 'The order has expired, because it was not paid in time',
    ...ended('EXPIRED', 3, 'not paid in time'),
  },
  'order.refunded': {
    summary: 'A shipped or delivered order is refunded. Its status does not change',
    example: { order: example('DELIVERED', 6, { tracking_number: EXAMPLE.tracking, refunded: 2580 }) },
  },
  'order.returned': {
    summary: 'Lines of a delivered order were returned and refunded. Its status does not change',
    example: { order: example('DELIVERED', 6, { refunded: 1290, returned: [returned] }) },
  },
});

const broadcasts = describeEvents(orderBroadcasts, {
  'orders.changed': {
    summary: 'Orders have changed. Every gateway replica receives the event, for live updates',
    example: { changed: [{ order_id: EXAMPLE.order, version: 3 }] },
  },
});

export const orders = {
  name: 'orders',
  summary: 'Orders and their lifecycle',
  api: ordersApi,
  events: [broadcasts, events],
  calls: {
    inventory: ['GET /products'],
    users: ['GET /api/users/:id'],
    fulfilment: ['POST /shipments/:order_id/stop', 'DELETE /shipments/:order_id/reason'],
  },
  subscribes: [
    subscribedTo(inventoryEvents, 'inventory.reserved', 'inventory.rejected'),
    subscribedTo(paymentEvents, 'payment.processed', 'payment.failed', 'payment.refunded'),
    subscribedTo(returnEvents, 'return.refunded'),
    subscribedTo(shipmentEvents, ...shipmentEvents.types),
  ],
  uses: ['state', 'jobs'],
  config,
  metrics: METRICS,
  state: {
    'order:{order_id}': 'The events of an order.',
    'worklist:{shard}': 'Some of the orders that the watchdog checks.',
    'index:finished': 'The number of finished orders.',
    'index:finished:{page}': 'The ids of a hundred finished orders.',
  },
  schemas: { Order: orderSchema, OrderList: orderListSchema, OrderAccepted: orderAcceptedSchema },
} satisfies ServiceDescription;
