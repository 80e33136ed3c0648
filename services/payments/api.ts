import { z } from 'zod';
import { orderEvents } from '../orders/contract.ts';
import {
  describeEvents,
  EXAMPLE,
  subscribedTo,
  type ServiceApi,
  type ServiceDescription,
} from '../shared/api-docs/route-table.ts';
import { id, noBody } from '../shared/schemas/types.ts';
import {
  ledgerSchema,
  paymentDocumentSchema,
  paymentEvents,
  paymentListQuery,
  paymentListSchema,
  paymentSchema,
  simulatedLedgerSchema,
  returnRefundBody,
  returnRefundSchema,
  type Payment,
} from './contract.ts';
import { BEHAVIOUR } from './behaviour.ts';
import { config } from './config.ts';
import { METRICS } from './metrics.ts';

const params = z.object({ order_id: id });
const payment: Payment = {
  payment_id: EXAMPLE.payment,
  order_id: EXAMPLE.order,
  status: 'CAPTURED',
  amount: 2580,
  refunded: 0,
  currency: 'EUR',
};

/** The payments service's routes. */
export const paymentsApi = {
  'GET /api/payments': {
    access: 'customer',
    summary: 'Get the payment of an order',
    query: paymentListQuery,
    response: paymentListSchema,
    responseExample: { items: [payment], next_cursor: null },
  },
  'GET /api/payments/ledger/:order_id': {
    access: 'admin',
    summary: 'Get the ledger of the payment provider for an order',
    params,
    response: ledgerSchema,
    responseExample: {
      order_id: EXAMPLE.order,
      captured: 2580,
      refunded: 0,
      captures: [{ amount: 2580, at: '2026-01-05T09:30:00.036Z' }],
      refunds: [],
    },
  },
  'POST /api/payments/:order_id/refund': {
    access: 'admin',
    summary: 'Refund a shipped or delivered order',
    params,
    idempotent: true,
    operation: { name: 'refund', request: ['orderId'] },
    body: noBody.optional(),
    response: paymentSchema,
    problems: {
      'nothing-captured': { status: 409, description: 'The order has no captured payment.' },
      'order-not-delivered': {
        status: 409,
        description: 'The order is not shipped yet. Cancel the order instead.',
      },
    },
    responseExample: { ...payment, status: 'REFUNDED', refunded: 2580 },
  },
  'PUT /refunds/:order_id/:return_id': {
    access: 'internal',
    summary: 'Refund the price of a return, once',
    params: z.object({ order_id: id, return_id: id }),
    body: returnRefundBody,
    response: returnRefundSchema,
    problems: {
      'nothing-captured': { status: 409, description: 'The order has no captured payment.' },
    },
    examples: { 'One mug': { amount: 1290 } },
    responseExample: { amount: 1290, refunded: 1290, currency: 'EUR' },
  },
} satisfies ServiceApi;

const derivation = (change: string) => ({
  id: `{payment_id}:${change}`,
  subject: '{order_id}',
  time: '`updated_at` of the payment',
});

/** The events that `payments` publishes. */
const events = describeEvents(paymentEvents, {
  'payment.processed': {
    summary: 'The payment of an order is captured',
    derivation: derivation('payment.processed'),
    example: { order_id: EXAMPLE.order, payment_id: EXAMPLE.payment },
  },
  'payment.failed': {
    summary: 'The payment of an order failed. No money is kept',
    derivation: derivation('payment.failed'),
    example: { order_id: EXAMPLE.order, reason: 'card declined' },
  },
  'payment.refunded': {
    summary: 'The payment of an order is refunded',
    derivation: derivation('payment.refunded:{refunded}'),
    example: { order_id: EXAMPLE.order, payment_id: EXAMPLE.payment, refunded: 2580, currency: 'EUR' },
  },
  'refund.requested': {
    summary: 'The shop refunds an order',
    derivation: derivation('refund.requested'),
    example: { order_id: EXAMPLE.order, payment_id: EXAMPLE.payment },
  },
});

export const payments = {
  name: 'payments',
  summary: 'Payments and refunds',
  api: paymentsApi,
  events: [events],
  calls: { orders: ['GET /orders', 'GET /orders/:id/payment-method'] },
  subscribes: [
    subscribedTo(orderEvents, 'payment.requested', 'order.cancelled', 'order.expired'),
    subscribedTo(paymentEvents, 'refund.requested'),
  ],
  uses: ['state'],
  config,
  metrics: METRICS,
  state: {
    'payment:{order_id}': { description: 'The payment of an order.', schema: paymentDocumentSchema },
    'ledger:{order_id}': {
      description: 'The captures and refunds of the simulated provider.',
      schema: simulatedLedgerSchema,
    },
  },
  behaviour: BEHAVIOUR,
  schemas: { Payment: paymentSchema, PaymentList: paymentListSchema, Ledger: ledgerSchema },
} satisfies ServiceDescription;
