import { Router, type Request } from 'express';
import type { Order } from '../orders/contract.ts';
import { callerOf, canRead, requireAdmin, type Caller } from '../shared/http/caller.ts';
import type { WithIdempotency } from '../shared/http/idempotency.ts';
import { sendPage } from '../shared/http/pagination.ts';
import { notFound, ProblemError } from '../shared/http/problem.ts';
import { parseBody, parsePath, parseQuery } from '../shared/http/validation.ts';
import { id, noBody } from '../shared/schemas/types.ts';
import { addRequestFields } from '../shared/telemetry/request-context.ts';
import { onePerProduct } from '../shared/util/lines.ts';
import { receiveBody, requestReturnBody, returnsQuery, type Return } from './contract.ts';
import { excessLines, statusOf, toReturn, type Change, type ReturnDocument } from './domain/return.ts';
import type { ReturnTrigger } from './domain/state-machine.ts';
import type { LoadOrder } from './order-client.ts';
import { quantityTooHigh, type RequestReturn } from './request-return.ts';
import type { ReturnStore } from './store/return-store.ts';
import type { Transitions } from './transitions.ts';

/** The most returns that one page of a list reads. With a rare status, a page may have fewer items than its limit. */
const MAX_SCANNED = 500;

export function createRoutes(deps: {
  store: ReturnStore;
  loadOrder: LoadOrder;
  requestReturn: RequestReturn;
  transitions: Transitions;
  /** Starts or wakes the workflow of a return. It does not throw: the sweep repeats it. */
  follow: (document: ReturnDocument) => Promise<void>;
  withIdempotency: WithIdempotency;
}): Router {
  const { store, requestReturn, transitions, follow, withIdempotency } = deps;
  const router = Router();

  router.post('/api/orders/:id/returns', async (req, res) => {
    const caller = callerOf(req);
    const order_id = parsePath(id, req.params.id, 'order');
    const { items, reason } = parseBody(requestReturnBody, req.body);
    const request = { order_id, items, reason };
    await withIdempotency(req, res, { name: 'request return', request }, async (returnId) => {
      const order = await loadVisibleOrder(caller, order_id);
      const document = await requestReturn(order, { returnId, items, reason });
      await follow(document);
      return { status: 201, headers: { location: `/api/returns/${returnId}` }, body: toReturn(document) };
    });
  });

  router.get('/api/orders/:id/returns', async (req, res) => {
    const order = await loadVisibleOrder(callerOf(req), req.params.id);
    const listed = await store.ofOrder(order.order_id);
    const documents = await store.loadMany(listed?.value.return_ids ?? []);
    sendPage(req, res, { items: documents.map((one) => toReturn(one)), nextCursor: null });
  });

  router.get('/api/returns', async (req, res) => {
    requireAdmin(req);
    const { status, cursor, limit } = parseQuery(returnsQuery, req.query);
    const items: Return[] = [];
    let next: string | null | undefined = cursor;
    for (let scanned = 0; items.length < limit && scanned < MAX_SCANNED; scanned += limit) {
      const { ids, nextCursor } = await store.page(next ?? undefined, limit - items.length);
      const documents = await store.loadMany(ids);
      items.push(
        ...documents.filter((one) => !status || statusOf(one) === status).map((one) => toReturn(one)),
      );
      next = nextCursor;
      if (next === null) break;
    }
    sendPage(req, res, { items, nextCursor: next ?? null });
  });

  router.get('/api/returns/:id', async (req, res) => {
    const document = await loadVisible(callerOf(req), req.params.id);
    res.set('cache-control', 'no-store').json(toReturn(document));
  });

  router.post('/api/returns/:id/approve', async (req, res) => {
    requireAdmin(req);
    parseBody(noBody, req.body);
    res.json(await advance(req, 'approve'));
  });

  router.post('/api/returns/:id/reject', async (req, res) => {
    requireAdmin(req);
    parseBody(noBody, req.body);
    res.json(await advance(req, 'reject'));
  });

  router.post('/api/returns/:id/cancel', async (req, res) => {
    parseBody(noBody, req.body);
    res.json(await advance(req, 'cancel'));
  });

  router.post('/api/returns/:id/receive', async (req, res) => {
    requireAdmin(req);
    const { items, condition } = parseBody(receiveBody, req.body);
    res.json(
      await advance(req, 'receive', (document) => {
        const possible = new Map(document.items.map((line) => [line.product_id, line.quantity]));
        const excess = excessLines(items ?? [], possible);
        if (excess.length > 0) throw quantityTooHigh(excess);
        const sellable = condition === 'sellable';
        const received = onePerProduct(items ?? document.items).map((line) => ({ ...line, sellable }));
        return { received };
      }),
    );
  });

  async function advance(
    req: Request<{ id: string }>,
    trigger: ReturnTrigger,
    changeOf?: (document: ReturnDocument) => Change,
  ): Promise<Return> {
    const { return_id } = await loadVisible(callerOf(req), req.params.id);
    const { document, changed } = await transitions.apply(return_id, trigger, changeOf);
    if (!changed)
      throw new ProblemError(
        409,
        'illegal-step',
        `A return with status ${statusOf(document)} does not accept ${trigger}.`,
      );
    await follow(document);
    return toReturn(document);
  }

  async function loadVisibleOrder(caller: Caller, param: string): Promise<Order> {
    const orderId = parsePath(id, param, 'order');
    addRequestFields({ order_id: orderId });
    const order = await deps.loadOrder(orderId);
    if (!order || !canRead(caller, order.customer_id)) throw notFound('order');
    return order;
  }

  async function loadVisible(caller: Caller, param: string): Promise<ReturnDocument> {
    const returnId = parsePath(id, param, 'return');
    const found = await store.load(returnId);
    if (!found || !canRead(caller, found.value.customer_id)) throw notFound('return');
    addRequestFields({ order_id: found.value.order_id, return_id: returnId });
    return found.value;
  }

  return router;
}
