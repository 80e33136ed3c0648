import { Router, type Response } from 'express';
import { demandMatch, versionTag } from '../shared/conditional.ts';
import type { Once } from '../shared/idempotency.ts';
import { requireAdmin } from '../shared/identity.ts';
import { pageQuery, sendPage } from '../shared/paged-index.ts';
import { notFound } from '../shared/problem.ts';
import { productId } from '../shared/types.ts';
import { parseBody, parsePath, parseQuery } from '../shared/validate.ts';
import { productsQuery, putProductBody, restockBody } from './contract.ts';
import { toProduct, type StockedProduct } from './domain/stock.ts';
import type { StockStore } from './store/stock-store.ts';

export function inventoryRoutes(stock: StockStore, once: Once): Router {
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
      demandMatch(req, product && tagOf(product)),
    );
    sendProduct(res.status(before ? 200 : 201), existing(after));
  });

  router.post('/api/inventory/:product_id/restock', async (req, res) => {
    requireAdmin(req);
    const product_id = productIdOf(req.params);
    const { quantity } = parseBody(restockBody, req.body);
    const request = { product_id, quantity };
    await once(req, res, { what: 'restock', request }, async (operation, mayBeRepeated) => {
      const named = mayBeRepeated ? { operation } : {};
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

  return router;
}

/** @throws Problem 404 for an invalid product id */
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
