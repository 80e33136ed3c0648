import { z } from 'zod';
import { orderEvents } from '../orders/contract.ts';
import {
  describeEvents,
  EXAMPLE,
  subscribedTo,
  type ServiceApi,
  type ServiceDescription,
} from '../shared/api-docs/route-table.ts';
import { pageQuery } from '../shared/schemas/page-query.ts';
import { indexState } from '../shared/schemas/stored-index.ts';
import { id, productId } from '../shared/schemas/types.ts';
import {
  inventoryEvents,
  productListSchema,
  productSchema,
  productsQuery,
  productsSchema,
  putProductBody,
  reservationSchema,
  restockBody,
  restockSchema,
  stockedProductSchema,
  takeBackBody,
  type Product,
} from './contract.ts';
import { BEHAVIOUR } from './behaviour.ts';
import { config } from './config.ts';
import { METRICS } from './metrics.ts';

const params = z.object({ product_id: productId });
const product: Product = {
  product_id: EXAMPLE.product,
  name: 'Mug, blue',
  unit_price: 1290,
  currency: 'EUR',
  on_hand: 40,
  reserved: 2,
  available: 38,
};

/** The routes of `inventory`. */
export const inventoryApi = {
  'GET /api/inventory': {
    access: 'customer',
    summary: 'List products',
    query: pageQuery,
    response: productListSchema,
    responseExample: { items: [product], next_cursor: null },
  },
  'GET /api/inventory/:product_id': {
    access: 'customer',
    summary: 'Get a product',
    params,
    etag: true,
    response: productSchema,
    responseExample: product,
  },
  'PUT /api/inventory/:product_id': {
    access: 'admin',
    summary: 'Create or update a product',
    params,
    creates: true,
    etag: true,
    body: putProductBody,
    response: productSchema,
    examples: { 'A new price': { name: 'Mug, blue', unit_price: 1390 } },
    responseExample: { ...product, unit_price: 1390 },
  },
  'POST /api/inventory/:product_id/restock': {
    access: 'admin',
    summary: 'Restock a product',
    params,
    idempotent: true,
    operation: { name: 'restock', request: ['product_id', 'quantity'] },
    body: restockBody,
    response: productSchema,
    examples: { 'Ten more': { quantity: 10 } },
    responseExample: { ...product, on_hand: 50, available: 48 },
  },
  'GET /products': {
    access: 'internal',
    summary: 'Get products by their ids',
    query: productsQuery,
    response: productsSchema,
  },
  'PUT /returns/:order_id/:return_id': {
    access: 'internal',
    summary: 'Restock the sellable lines of a return, once',
    params: z.object({ order_id: id, return_id: id }),
    body: takeBackBody,
    status: 204,
    examples: { 'One mug': { items: [{ product_id: EXAMPLE.product, quantity: 1 }] } },
  },
} satisfies ServiceApi;

const derivation = (decision: string) => ({
  id: `{order_id}:${decision}`,
  subject: '{order_id}',
  time: '`time` of the reservation',
});

/** The events that `inventory` publishes. */
const events = describeEvents(inventoryEvents, {
  'inventory.reserved': {
    summary: 'All lines of an order are reserved',
    derivation: derivation('reserved'),
    example: { order_id: EXAMPLE.order },
  },
  'inventory.rejected': {
    summary: 'No line of an order is reserved, because stock is missing',
    derivation: derivation('rejected'),
    example: { order_id: EXAMPLE.order, reason: 'out of stock: mug-blue' },
  },
  'stock.low': {
    summary: 'A sale reduced the stock of a product to its threshold or below',
    derivation: {
      id: '{order_id}:low:{product_id}',
      subject: '{product_id}',
      time: '`sale.time` of the reservation',
    },
    example: { product_id: EXAMPLE.product, available: 5 },
  },
});

export const inventory = {
  name: 'inventory',
  summary: 'Products, prices and stock',
  api: inventoryApi,
  events: [events],
  calls: {},
  subscribes: [
    subscribedTo(
      orderEvents,
      'order.created',
      'order.paid',
      'order.payment_failed',
      'order.cancelled',
      'order.expired',
    ),
  ],
  uses: ['state'],
  config,
  metrics: METRICS,
  state: {
    'product:{product_id}': {
      description: 'A product with its price and stock.',
      schema: stockedProductSchema,
      transaction: 'with the reservation or restock that changes it',
    },
    'reservation:{order_id}': {
      description: 'The reservation of an order.',
      schema: reservationSchema,
      transaction: 'with the products that it changes',
    },
    'restock:{operation}': {
      description: 'A restock with an Idempotency-Key.',
      schema: restockSchema,
      transaction: 'with the product',
      ttlSeconds: 86_400,
    },
    ...indexState('products', 'products'),
  },
  behaviour: BEHAVIOUR,
  timeout: 'short',
  schemas: { Product: productSchema, ProductList: productListSchema },
} satisfies ServiceDescription;
