import type { Order } from '../orders/contract.ts';
import { createBackgroundLoad } from '../shared/telemetry/background-load.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { createGauge, type GaugeOf, type Metrics } from '../shared/telemetry/metrics.ts';
import { METRICS } from './metrics.ts';
import { isStuck } from './domain/stuck-orders.ts';
import type { ReadModelStore } from './store/read-model-store.ts';

/** As in `GET /api/admin/orders?stuck=true`. */
const STUCK_AFTER_MS = 120_000;

const OPEN_STATUSES = METRICS.openOrders.labels.status;
type OpenStatus = (typeof OPEN_STATUSES)[number];
type CountByStatus = ReadonlyMap<OpenStatus, number>;

/** Measures the open orders. Scrapes do not wait for the state store (services/shared/telemetry/background-load.ts). */
export function measureOpenOrders(deps: {
  readModel: Pick<ReadModelStore, 'open'>;
  log: Logger;
  metrics: Metrics;
  now: () => Date;
}): void {
  const { readModel, log, metrics, now } = deps;
  // Counted once per load, because there may be many orders.
  const summary = createBackgroundLoad('open orders', log, async () => {
    const orders = await readModel.open();
    return {
      open: countByStatus(orders),
      stuck: countByStatus(orders.filter((order) => isStuck(order, STUCK_AFTER_MS, now()))),
      oldest: orders.reduce((time, { created_at }) => Math.min(time, Date.parse(created_at)), Infinity),
    };
  });
  createGauge(metrics, METRICS.openOrders, (gauge) => setByStatus(gauge, summary()?.open));
  createGauge(metrics, METRICS.stuckOrders, (gauge) => setByStatus(gauge, summary()?.stuck));
  createGauge(metrics, METRICS.oldestOpenOrderAge, (gauge) => {
    const oldest = summary()?.oldest;
    if (oldest !== undefined)
      gauge.set({}, Number.isFinite(oldest) ? Math.max(0, now().getTime() - oldest) / 1000 : 0);
  });
}

function countByStatus(orders: readonly Order[]): CountByStatus {
  return new Map(
    OPEN_STATUSES.map((status) => [status, orders.filter((order) => order.status === status).length]),
  );
}

function setByStatus(
  gauge: GaugeOf<{ status: OpenStatus }>,
  counts: CountByStatus | undefined = new Map(),
): void {
  for (const [status, count] of counts) gauge.set({ status }, count);
}
