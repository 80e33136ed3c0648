import { Router, type Request } from 'express';
import { callerOf, mayRead, requireAdmin, type Caller } from '../shared/identity.ts';
import { forbidden, notFound, Problem } from '../shared/problem.ts';
import { aboutOrder } from '../shared/service.ts';
import { id as orderIdSchema } from '../shared/types.ts';
import { parseBody } from '../shared/validate.ts';
import type { CancelOrder } from './cancel-order.ts';
import {
  cancelBody,
  cartBody,
  oneLineBody,
  putStatusBody,
  type Order,
  type PaymentMethod,
} from './contract.ts';
import type { DemandCustomer } from './customers.ts';
import type { MoveOrder } from './move-order.ts';
import { replay } from './order.ts';
import type { OrderDocument, OrderStore } from './order-store.ts';
import type { PlaceOrder } from './place-order.ts';
import type { Wish } from './pricing.ts';
import { BY_HAND } from './saga.ts';

/** The card of the simulated provider that is always approved; for requests that name none. */
const DEFAULT_CARD: PaymentMethod = { method: 'card', card_token: 'tok_visa' };

export function routes(deps: {
  store: OrderStore;
  demandCustomer: DemandCustomer;
  placeOrder: PlaceOrder;
  cancelOrder: CancelOrder;
  move: MoveOrder;
}): Router {
  const { store, demandCustomer, placeOrder, cancelOrder, move } = deps;
  const router = Router();

  router.post('/api/orders', async (req, res) => {
    const caller = callerOf(req);
    const { wish, payment, customer_id } = parseOrder(req.body);
    const customerId = customer_id ?? caller.id;
    if (!mayRead(caller, customerId)) throw forbidden('customer_id must be your own.');
    if (customerId !== caller.id) await demandCustomer(caller, customerId);
    const { order, replayed } = await placeOrder({
      customerId,
      wish,
      payment,
      idempotencyKey: idempotencyKeyOf(req),
    });
    if (replayed) res.set('idempotent-replayed', 'true');
    const { order_id, total, currency } = order;
    const message = 'The order is accepted. Its status tells how it goes on.';
    res
      .status(201)
      .location(`/api/orders/${order_id}`)
      .json({ order_id, status: 'PENDING', message, total, currency });
  });

  router.get('/api/orders/:id', async (req, res) => {
    const document = await loadFor(callerOf(req), req.params.id);
    res.set('cache-control', 'no-store').json(replay(document.order_id, document.events));
  });

  router.get('/api/orders/:id/events', async (req, res) => {
    const { order_id, events } = await loadFor(callerOf(req), req.params.id);
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
    const { order_id } = await loadFor(callerOf(req), req.params.id);
    const { reason = 'cancelled by the customer' } = parseBody(cancelBody, req.body);
    res.json(await cancelOrder(order_id, reason));
  });

  router.put('/api/orders/:id/status', async (req, res) => {
    const document = await loadFor(requireAdmin(req), req.params.id);
    const { status } = parseBody(putStatusBody, req.body);
    res.json(await bringInto(document, status));
  });

  async function loadFor(caller: Caller, orderId: string): Promise<OrderDocument> {
    if (!orderIdSchema.safeParse(orderId).success) throw notFound('order');
    aboutOrder(orderId);
    const found = await store.load(orderId.toLowerCase());
    const [created] = found?.value.events ?? [];
    if (!found || created?.type !== 'order.created' || !mayRead(caller, created.data.customer_id))
      throw notFound('order');
    return found.value;
  }

  async function bringInto({ order_id, events }: OrderDocument, status: Order['status']): Promise<Order> {
    const message = BY_HAND[status];
    if (message?.type === 'cancel') return cancelOrder(order_id, message.reason);
    // Without a message for it the order can only be in that status already.
    const order = message ? (await move(order_id, message))?.order : replay(order_id, events);
    if (!order) throw notFound('order');
    if (order.status === status) return order;
    throw new Problem(409, 'illegal-transition', `An order that is ${order.status} cannot become ${status}.`);
  }

  return router;
}

interface ParsedOrder {
  wish: Wish;
  payment: PaymentMethod;
  customer_id: string | undefined;
}

/** Both forms of the request: a cart, or one line. */
function parseOrder(body: unknown): ParsedOrder {
  if (typeof body === 'object' && body !== null && 'items' in body) {
    const { items, payment, currency, customer_id } = parseBody(cartBody, body);
    const lines = items.map((item, position) => ({ ...item, field: `items.${position}.` }));
    return { wish: { lines, currency }, payment, customer_id };
  }
  const { product_id, quantity, amount, currency, payment, customer_id } = parseBody(oneLineBody, body);
  const lines = [{ product_id, quantity, field: '' }];
  return { wish: { lines, amount, currency }, payment: payment ?? DEFAULT_CARD, customer_id };
}

/** draft-ietf-httpapi-idempotency-key-header-07; a quoted string there, a bare one in common use: both are taken. */
function idempotencyKeyOf(req: Request): string | undefined {
  const key = req.get('idempotency-key');
  if (key === undefined) return undefined;
  if (!/^[\x21-\x7e]{1,255}$/.test(key))
    throw new Problem(
      400,
      'invalid-idempotency-key',
      'The Idempotency-Key must be 1 to 255 visible characters.',
    );
  return key.replace(/^"(.*)"$/, '$1');
}
