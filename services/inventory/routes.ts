import { Router } from 'express';
import { z } from 'zod';
import { requireAdmin } from '../shared/identity.ts';
import { pageQuery } from '../shared/paged-index.ts';
import { notFound } from '../shared/problem.ts';
import { productId } from '../shared/types.ts';
import { parseBody, parseQuery } from '../shared/validate.ts';
import { productsQuery, putProductBody, restockBody, type Product } from './contract.ts';
import { toProduct, type StockedProduct } from './stock.ts';
import type { StockStore } from './stock-store.ts';

export function inventoryRoutes(stock: StockStore): Router {
  const router = Router();

  router.get('/api/inventory', async (req, res) => {
    const { cursor, limit } = parseQuery(pageQuery, req.query);
    res.json(await stock.list(cursor, limit));
  });

  router.get('/api/inventory/:product_id', async (req, res) => {
    const [product] = await stock.products([productIdOf(req.params)]);
    res.json(existing(product));
  });

  router.put('/api/inventory/:product_id', async (req, res) => {
    requireAdmin(req);
    const product_id = productIdOf(req.params);
    const body = parseBody(putProductBody, req.body);
    const { before, after } = await stock.applyToProduct({ kind: 'put', product_id, ...body });
    res.status(before ? 200 : 201).json(shown(after));
  });

  router.post('/api/inventory/:product_id/restock', async (req, res) => {
    requireAdmin(req);
    const product_id = productIdOf(req.params);
    const { quantity } = parseBody(restockBody, req.body);
    const { after } = await stock.applyToProduct({ kind: 'restock', product_id, quantity });
    res.json(shown(after));
  });

  // For the orders service; not under /api, so the gateway does not let it out.
  router.get('/products', async (req, res) => {
    const { ids } = parseQuery(productsQuery, req.query);
    res.json({ items: await stock.products(ids) });
  });

  return router;
}

const pathParams = z.object({ product_id: productId });

/** @throws Problem 404 for what cannot be a product's id */
function productIdOf(params: unknown): string {
  const parsed = pathParams.safeParse(params);
  if (!parsed.success) throw notFound('product');
  return parsed.data.product_id;
}

function existing<T>(product: T | undefined): T {
  if (product === undefined) throw notFound('product');
  return product;
}

const shown = (stocked: StockedProduct | undefined): Product => toProduct(existing(stocked));
