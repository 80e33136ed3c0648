import type { Order } from '../orders/contract.ts';
import { createBackgroundLoad } from '../shared/telemetry/background-load.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { createGauge, type Metrics } from '../shared/telemetry/metrics.ts';
import { METRICS } from './metrics.ts';
import { isStuck } from './domain/stuck-orders.ts';
import type { ReadModelStore } from './store/read-model-store.ts';

/** As in `GET /api/admin/orders?stuck=true`. */
const STUCK_AFTER_MS = 120_000;

type OpenStatus = (typeof METRICS.openOrders.labels.status)[number];

/** Measures the open orders. Scrapes do not wait for the state store (services/shared/telemetry/background-load.ts). */
export function measureOpenOrders(deps: {
  readModel: Pick<ReadModelStore, 'open'>;
  log: Logger;
  metrics: Metrics;
  now: () => Date;
}): void {
  const { readModel, log, metrics, now } = deps;
  const loadedOrders = createBackgroundLoad('open orders', log, readModel.open);
  const byStatus = (orders: readonly Order[]) =>
    METRICS.openOrders.labels.status.map((status: OpenStatus) => ({
      status,
      count: orders.filter((order) => order.status === status).length,
    }));

  createGauge(metrics, METRICS.openOrders, (gauge) => {
    for (const { status, count } of byStatus(loadedOrders() ?? [])) gauge.set({ status }, count);
  });
  createGauge(metrics, METRICS.stuckOrders, (gauge) => {
    const stuck = (loadedOrders() ?? []).filter((order) => isStuck(order, STUCK_AFTER_MS, now()));
    for (const { status, count } of byStatus(stuck)) gauge.set({ status }, count);
  });
  createGauge(metrics, METRICS.oldestOpenOrderAge, (gauge) => {
    const oldest = (loadedOrders() ?? []).reduce(
      (earliest, { created_at }) => Math.min(earliest, Date.parse(created_at)),
      Infinity,
    );
    gauge.set({}, Number.isFinite(oldest) ? Math.max(0, now().getTime() - oldest) / 1000 : 0);
  });
}
