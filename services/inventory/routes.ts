import { Router, type Response } from 'express';
import { assertPreconditions, versionTag } from '../shared/http/preconditions.ts';
import type { WithIdempotency } from '../shared/http/idempotency.ts';
import { requireAdmin } from '../shared/http/caller.ts';
import { pageQuery } from '../shared/schemas/page-query.ts';
import { sendPage } from '../shared/http/pagination.ts';
import { notFound } from '../shared/http/problem.ts';
import { id, productId } from '../shared/schemas/types.ts';
import { addRequestFields } from '../shared/telemetry/request-context.ts';
import { parseBody, parsePath, parseQuery } from '../shared/http/validation.ts';
import { productsQuery, putProductBody, restockBody, takeBackBody } from './contract.ts';
import { toProduct, type StockedProduct } from './domain/stock.ts';
import type { StockStore } from './store/stock-store.ts';

export function createRoutes(stock: StockStore, withIdempotency: WithIdempotency): Router {
  const router = Router();

  router.get('/api/inventory', async (req, res) => {
    const { cursor, limit } = parseQuery(pageQuery, req.query);
    sendPage(req, res, await stock.list(cursor, limit));
  });

  router.get('/api/inventory/:product_id', async (req, res) => {
    sendProduct(res, existing(await stock.product(productIdOf(req.params))));
  });

  router.put('/api/inventory/:product_id', async (req, res) => {
    requireAdmin(req);
    const product_id = productIdOf(req.params);
    const body = parseBody(putProductBody, req.body);
    const { before, after } = await stock.applyToProduct({ kind: 'put', product_id, ...body }, (product) =>
      assertPreconditions(req, product && tagOf(product)),
    );
    sendProduct(res.status(before ? 200 : 201), existing(after));
  });

  router.post('/api/inventory/:product_id/restock', async (req, res) => {
    requireAdmin(req);
    const product_id = productIdOf(req.params);
    const { quantity } = parseBody(restockBody, req.body);
    const request = { product_id, quantity };
    await withIdempotency(req, res, { name: 'restock', request }, async (operation, hasIdempotencyKey) => {
      const named = hasIdempotencyKey ? { operation } : {};
      const command = { kind: 'restock', product_id, quantity, ...named } as const;
      const { after } = await stock.applyToProduct(command);
      return { status: 200, body: toProduct(existing(after)) };
    });
  });

  // For `orders` only. The path is not under /api, so the gateway does not forward it.
  router.get('/products', async (req, res) => {
    const { ids } = parseQuery(productsQuery, req.query);
    res.json({ items: await stock.products(ids) });
  });

  // For `returns` only.
  router.put('/returns/:order_id/:return_id', async (req, res) => {
    const order_id = parsePath(id, req.params.order_id, 'order');
    const return_id = parsePath(id, req.params.return_id, 'return');
    addRequestFields({ order_id });
    const { items: lines } = parseBody(takeBackBody, req.body);
    const { after } = await stock.applyToOrder({ kind: 'take-back', order_id, return_id, lines });
    if (!after) throw notFound('order');
    res.status(204).set('cache-control', 'no-store').end();
  });

  return router;
}

/** @throws ProblemError 404 for an invalid product id */
const productIdOf = (params: { product_id: string }) => parsePath(productId, params.product_id, 'product');

function existing<T>(product: T | undefined): T {
  if (product === undefined) throw notFound('product');
  return product;
}

const tagOf = ({ revision }: StockedProduct) => versionTag(revision);

function sendProduct(res: Response, product: StockedProduct): void {
  // Clients revalidate each time, because stock changes. The entity tag makes that cheap.
  res.set({ etag: tagOf(product), 'cache-control': 'no-cache' }).json(toProduct(product));
}
