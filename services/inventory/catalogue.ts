import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { money, pricingCurrency, productId } from '../shared/types.ts';
import shopCatalogue from './catalogue.json' with { type: 'json' };
import { DEFAULT_THRESHOLD, type NewProduct } from './domain/stock.ts';
import type { StockStore } from './store/stock-store.ts';

const catalogueSchema = z.array(
  z.strictObject({
    product_id: productId,
    name: z.string().min(1),
    unit_price: money,
    currency: pricingCurrency,
    on_hand: z.int().min(0),
    low_stock_threshold: z.int().min(0).default(DEFAULT_THRESHOLD),
  }),
);

/**
 * The products that the shop starts with.
 *
 * @param file not given: those of `catalogue.json`
 * @throws Error naming the file and what is wrong with it
 */
export async function readCatalogue(file: string | undefined): Promise<NewProduct[]> {
  try {
    return catalogueSchema.parse(file ? JSON.parse(await readFile(file, 'utf8')) : shopCatalogue);
  } catch (error) {
    const what = file === undefined ? 'catalogue.json' : `SEED_FILE: the catalogue ${file}`;
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  }
}

const CHUNK = 64;

/**
 * Adds the products that do not exist yet; those that do keep their price and stock. So it may end in the middle and
 * start again, and several replicas may do it at once.
 */
export async function seed(stock: StockStore, catalogue: readonly NewProduct[]): Promise<void> {
  // Lists show the newest first: the last of the catalogue goes in first, to have them read as it does.
  const products = catalogue.toReversed();
  for (let start = 0; start < products.length; start += CHUNK)
    await Promise.all(
      products
        .slice(start, start + CHUNK)
        .map((product) => stock.applyToProduct({ kind: 'add', ...product })),
    );
}
