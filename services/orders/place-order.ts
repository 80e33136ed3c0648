import { createHash } from 'node:crypto';
import { v5 as uuidv5, v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { productSchema, type Product } from '../inventory/contract.ts';
import type { Logger } from '../shared/log.ts';
import { Problem, unavailable } from '../shared/problem.ts';
import { aboutOrder } from '../shared/service.ts';
import type { Sidecar } from '../shared/sidecar.ts';
import { ConflictError } from '../shared/sidecar-call.ts';
import type { Order, PaymentMethod } from './contract.ts';
import { append, replay, type OrderCreated } from './order.ts';
import type { OrderDocument, OrderStore } from './order-store.ts';
import { price, type Wish } from './pricing.ts';
import { messageOf } from './say.ts';
import { watch } from './watch-order.ts';

export interface OrderRequest {
  customerId: string;
  wish: Wish;
  payment: PaymentMethod;
  idempotencyKey: string | undefined;
}

/** Takes an order, or gives the one that the same request made before. */
export type PlaceOrder = (request: OrderRequest) => Promise<{ order: Order; replayed: boolean }>;

/** The namespace (RFC 9562, UUIDv5) of order ids that derive from a customer's idempotency key. */
const KEYED_ORDERS = 'c1f9a5c7-0d0e-5b1d-8a4f-2f6f0f4c7b1e';

export function orderPlacer(deps: {
  store: OrderStore;
  sidecar: Sidecar;
  log: Logger;
  recheckMs: number;
  now: () => Date;
}): PlaceOrder {
  const { store, sidecar, log, recheckMs, now } = deps;

  return async (request) => {
    const orderId = orderIdFor(request);
    aboutOrder(orderId);
    const requestHash = hash(request);
    const repeated = request.idempotencyKey === undefined ? undefined : await existing(orderId, requestHash);
    if (repeated) return repeated;

    const priced = price(request.wish, await fetchProducts(request.wish));
    const document = newDocument(orderId, requestHash, request, priced);
    // From here on the order cannot be forgotten: the job looks after it until it is final.
    await watch(sidecar, orderId, recheckMs, now().toISOString());
    try {
      await store.create(document);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      const first = await existing(orderId, requestHash);
      if (first) return first;
      throw error;
    }
    await say(document);
    return { order: replay(orderId, document.events), replayed: false };
  };

  async function existing(orderId: string, requestHash: string) {
    const found = await store.load(orderId);
    if (!found) return undefined;
    if (found.value.request_hash !== requestHash)
      throw new Problem(
        422,
        'idempotency-key-reused',
        'This Idempotency-Key was used for another request before.',
      );
    return { order: replay(orderId, found.value.events.slice(0, 1)), replayed: true };
  }

  async function fetchProducts(wish: Wish): Promise<Product[]> {
    const ids = [...new Set(wish.lines.map((line) => line.product_id))].join(',');
    const response = await sidecar.invoke('inventory', { method: 'GET', path: `/products?ids=${ids}` });
    if (response.status !== 200) throw unavailable();
    return productsSchema.parse(JSON.parse(response.body.toString())).items;
  }

  function newDocument(
    orderId: string,
    requestHash: string,
    { customerId, payment }: OrderRequest,
    priced: Omit<OrderCreated, 'customer_id'>,
  ): OrderDocument {
    const created = { type: 'order.created' as const, data: { customer_id: customerId, ...priced } };
    const events = append([], [created], now().toISOString());
    return { order_id: orderId, events, payment, request_hash: requestHash };
  }

  /** The order is accepted even while the broker is out of reach: the job will say it. */
  async function say(document: OrderDocument): Promise<void> {
    await sidecar
      .publish(messageOf(document, 1))
      .catch((err: unknown) => log.warn({ err }, 'order.created not said yet'));
  }
}

const productsSchema = z.object({ items: z.array(productSchema) });

function orderIdFor({ customerId, idempotencyKey }: OrderRequest): string {
  return idempotencyKey === undefined ? uuidv7() : uuidv5(`${customerId} ${idempotencyKey}`, KEYED_ORDERS);
}

function hash({ wish, payment }: OrderRequest): string {
  return createHash('sha256').update(JSON.stringify({ wish, payment })).digest('base64url');
}
