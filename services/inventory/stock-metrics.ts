import { createBackgroundLoad } from '../shared/telemetry/background-load.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { createGauge, type Metrics } from '../shared/telemetry/metrics.ts';
import { MAX_MEASURED_PRODUCTS, METRICS } from './metrics.ts';
import type { StockedProduct } from './domain/stock.ts';
import type { StockStore } from './store/stock-store.ts';

/** Older products are not examined. */
const MAX_EXAMINED_PRODUCTS = 500;
const PAGE_SIZE = 100;

const availableOf = ({ on_hand, reserved }: StockedProduct) => on_hand - reserved;
const reserveOf = (product: StockedProduct) => availableOf(product) - product.low_stock_threshold;

/** Measures the stock of the products that run out first. Scrapes do not wait for the state store. */
export function measureStock(deps: {
  stock: Pick<StockStore, 'listStocked'>;
  log: Logger;
  metrics: Metrics;
}): void {
  const { stock, log, metrics } = deps;
  const loadedProducts = createBackgroundLoad('stock', log, async () => {
    const examined: StockedProduct[] = [];
    let cursor: string | undefined;
    do {
      const { items, nextCursor } = await stock.listStocked(cursor, PAGE_SIZE);
      examined.push(...items);
      cursor = nextCursor ?? undefined;
    } while (cursor !== undefined && examined.length < MAX_EXAMINED_PRODUCTS);
    return examined.toSorted((a, b) => reserveOf(a) - reserveOf(b)).slice(0, MAX_MEASURED_PRODUCTS);
  });
  createGauge(metrics, METRICS.currentStock, (gauge) => {
    gauge.reset();
    for (const product of loadedProducts() ?? [])
      gauge.set({ product: product.product_id }, availableOf(product));
  });
  createGauge(metrics, METRICS.lowStockThreshold, (gauge) => {
    gauge.reset();
    for (const { product_id, low_stock_threshold } of loadedProducts() ?? [])
      gauge.set({ product: product_id }, low_stock_threshold);
  });
}
