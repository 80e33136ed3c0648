import { addRequestFields } from '../shared/telemetry/request-context.ts';
import { Router, type Response } from 'express';
import { assertPreconditions, versionTag } from '../shared/http/preconditions.ts';
import type { WithIdempotency } from '../shared/http/idempotency.ts';
import { callerOf, canRead, requireAdmin, type Caller } from '../shared/http/caller.ts';
import { forbidden, notFound, ProblemError } from '../shared/http/problem.ts';

import { id as orderIdSchema } from '../shared/schemas/types.ts';
import { parseBody, parsePath, parseQuery } from '../shared/http/validation.ts';
import type { ApplyTrigger } from './apply-trigger.ts';
import type { CancelOrder } from './cancel-order.ts';
import {
  cancelBody,
  cartBody,
  oneLineBody,
  orderChangesQuery,
  ordersQuery,
  putStatusBody,
  type Order,
  type PaymentMethod,
} from './contract.ts';
import type { CustomerClient } from './customer-client.ts';
import { isFinal, replay } from './domain/order.ts';
import type { OrderDraft } from './domain/pricing.ts';
import { ADMIN_TRIGGERS } from './domain/statuses.ts';
import type { EraseReason } from './erase-reason.ts';
import type { PlaceOrder } from './place-order.ts';
import type { AllOrders } from './store/finished-orders.ts';
import type { OrderDocument, OrderStore } from './store/order-store.ts';

/** A card that the simulated provider always approves, for requests that name none. */
const DEFAULT_CARD: PaymentMethod = { method: 'card', card_token: 'tok_visa' };

export function createRoutes(deps: {
  store: OrderStore;
  allOrders: AllOrders;
  assertCustomerExists: CustomerClient['assertCustomerExists'];
  placeOrder: PlaceOrder;
  cancelOrder: CancelOrder;
  eraseReason: EraseReason;
  applyTrigger: ApplyTrigger;
  withIdempotency: WithIdempotency;
}): Router {
  const {
    store,
    allOrders,
    assertCustomerExists,
    placeOrder,
    cancelOrder,
    eraseReason,
    applyTrigger,
    withIdempotency,
  } = deps;
  const router = Router();

  router.post('/api/orders', async (req, res) => {
    const caller = callerOf(req);
    const { draft, payment, customer_id } = parseOrder(req.body);
    const customerId = customer_id ?? caller.id;
    if (!canRead(caller, customerId)) throw forbidden('`customer_id` must be the id of the caller.');
    if (customerId !== caller.id) await assertCustomerExists(caller, customerId);
    const place = async (orderId: string, hasIdempotencyKey: boolean) => {
      const request = { orderId, hasIdempotencyKey, customerId, draft, payment };
      const { order, replayed } = await placeOrder(request);
      const { order_id, total, currency } = order;
      const message = 'Order accepted. Poll or stream its status for progress.';
      return {
        status: 201,
        headers: { location: `/api/orders/${order_id}` },
        body: { order_id, status: 'PENDING', message, total, currency },
        replayed,
      };
    };
    // The order is the record of the answer.
    await withIdempotency(
      req,
      res,
      { name: 'place order', request: { customerId, draft, payment } },
      place,
      false,
    );
  });

  router.get('/api/orders/:id', async (req, res) => {
    const { order_id, events } = await loadVisibleOrder(callerOf(req), req.params.id);
    sendOrder(res, replay(order_id, events));
  });

  router.get('/api/orders/:id/events', async (req, res) => {
    const { order_id, events } = await loadVisibleOrder(callerOf(req), req.params.id);
    const items = events.map(({ type, version, time, data }) => ({
      id: `${order_id}:${version}`,
      type,
      version,
      time,
      data,
    }));
    res.set('cache-control', 'no-store').json({ items });
  });

  router.post('/api/orders/:id/cancel', async (req, res) => {
    const { order_id } = await loadVisibleOrder(callerOf(req), req.params.id);
    const { reason = 'cancelled by the customer' } = parseBody(cancelBody, req.body);
    const request = { order_id, reason };
    await withIdempotency(req, res, { name: 'cancel order', request }, async () => ({
      status: 200,
      body: await cancelOrder(order_id, reason),
    }));
  });

  router.put('/api/orders/:id/status', async (req, res) => {
    const document = await loadVisibleOrder(requireAdmin(req), req.params.id);
    const { status } = parseBody(putStatusBody, req.body);
    const precondition = ({ version }: Order) => assertPreconditions(req, versionTag(version));
    sendOrder(res, await setStatus(document, status, precondition));
  });

  router.get('/orders/:id/payment-method', async (req, res) => {
    // The caller's sidecar sets this header. No caller can set it.
    if (req.get('dapr-caller-app-id') !== 'payments') throw forbidden('Only `payments` can call this route.');
    const orderId = parsePath(orderIdSchema, req.params.id, 'order');
    addRequestFields({ order_id: orderId });
    const found = await store.load(orderId);
    if (!found) throw notFound('order');
    const { payment } = found.value;
    if (!payment)
      throw new ProblemError(
        410,
        'card-erased',
        'The payment is decided or the order is final. The payment method was erased.',
      );
    res.set('cache-control', 'no-store').json(payment);
  });

  router.delete('/orders/:id/reason', async (req, res) => {
    const orderId = parsePath(orderIdSchema, req.params.id, 'order');
    addRequestFields({ order_id: orderId });
    res.set('cache-control', 'no-store').json(await eraseReason(orderId));
  });

  // For the gateway's live updates. The path is not under /api, so the gateway does not expose it.
  router.get('/orders/:id/changes', async (req, res) => {
    const { order_id, events } = await loadVisibleOrder(callerOf(req), req.params.id);
    const { after } = parseQuery(orderChangesQuery, req.query);
    if (after > events.length)
      throw new ProblemError(400, 'no-such-version', 'The order has not reached this version.');
    const items = events.slice(after).map(({ type, version }) => ({
      type,
      order: replay(order_id, events.slice(0, version)),
    }));
    res.json({ items, ended: isFinal(replay(order_id, events)) });
  });

  // For rebuilds of the read model. The gateway does not expose this path either.
  router.get('/orders', async (req, res) => {
    const { ids, cursor, limit } = parseQuery(ordersQuery, req.query);
    const page = ids ? { ids, next: null } : await allOrders.page(cursor, limit);
    const found = await Promise.all(page.ids.map(store.load));
    const items = found.flatMap((stored) =>
      stored ? [replay(stored.value.order_id, stored.value.events)] : [],
    );
    res.json({ items, next_cursor: page.next });
  });

  async function loadVisibleOrder(caller: Caller, param: string): Promise<OrderDocument> {
    const orderId = parsePath(orderIdSchema, param, 'order');
    addRequestFields({ order_id: orderId });
    const found = await store.load(orderId);
    const [created] = found?.value.events ?? [];
    if (!found || created?.type !== 'order.created' || !canRead(caller, created.data.customer_id))
      throw notFound('order');
    return found.value;
  }

  async function setStatus(
    { order_id, events }: OrderDocument,
    status: Order['status'],
    precondition: (order: Order) => void,
  ): Promise<Order> {
    const current = replay(order_id, events);
    precondition(current);
    const type = ADMIN_TRIGGERS.get(status);
    if (type === 'cancel') return cancelOrder(order_id, 'cancelled by the shop', precondition);
    // If no command leads to the status, the order can only be in it already.
    const order = type ? (await applyTrigger(order_id, { type }, precondition))?.order : current;
    if (!order) throw notFound('order');
    if (order.status === status) return order;
    throw new ProblemError(
      409,
      'illegal-transition',
      `An order with status ${order.status} cannot change to ${status}.`,
    );
  }

  return router;
}

interface ParsedOrder {
  draft: OrderDraft;
  payment: PaymentMethod;
  customer_id: string | undefined;
}

/** Parses both forms of the request: a cart, or one line. */
function parseOrder(body: unknown): ParsedOrder {
  if (typeof body === 'object' && body !== null && 'items' in body) {
    const { items, payment, currency, customer_id } = parseBody(cartBody, body);
    const lines = items.map((item, position) => ({ ...item, field: `items.${position}.` }));
    return { draft: { lines, currency }, payment, customer_id };
  }
  const { product_id, quantity, amount, currency, payment, customer_id } = parseBody(oneLineBody, body);
  const lines = [{ product_id, quantity, field: '' }];
  return { draft: { lines, amount, currency }, payment: payment ?? DEFAULT_CARD, customer_id };
}

function sendOrder(res: Response, order: Order): void {
  res.set({ 'cache-control': 'no-store', etag: versionTag(order.version) }).json(order);
}
