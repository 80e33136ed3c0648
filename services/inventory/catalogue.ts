import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { money, pricingCurrency, productId } from '../shared/schemas/types.ts';
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
 * Loads the products that the shop starts with.
 *
 * @param file the path of a catalogue; the default is `catalogue.json`
 * @throws Error with the file and the problem
 */
export async function readCatalogue(file: string | undefined): Promise<NewProduct[]> {
  try {
    return catalogueSchema.parse(file ? JSON.parse(await readFile(file, 'utf8')) : shopCatalogue);
  } catch (error) {
    const what = file === undefined ? 'catalogue.json' : `SEED_FILE: the catalogue ${file}`;
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  }
}

const SEED_BATCH_SIZE = 64;

/**
 * Adds the products that do not exist. Existing products keep their price and stock, so the step can be repeated, also by
 * several replicas at once.
 */
export async function seed(stock: StockStore, catalogue: readonly NewProduct[]): Promise<void> {
  // Lists show the newest product first, so the last product of the catalogue is added first.
  const products = catalogue.toReversed();
  for (let start = 0; start < products.length; start += SEED_BATCH_SIZE)
    await Promise.all(
      products
        .slice(start, start + SEED_BATCH_SIZE)
        .map((product) => stock.applyToProduct({ kind: 'add', ...product })),
    );
}
