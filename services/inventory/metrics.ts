import type { MetricDeclarations } from '../shared/telemetry/metrics.ts';

/** The most products that `current_stock` has. A catalogue has no bound, and each product is a time series. */
export const MAX_MEASURED_PRODUCTS = 20;

/** The metrics of `inventory`. All replicas have the same stock: take the minimum. */
export const METRICS = {
  reservations: {
    type: 'counter',
    name: 'inventory_reservations_total',
    help: 'Reservations that reached a status. They have no product, because a reservation has several',
    labels: { status: ['RESERVED', 'REJECTED', 'SOLD', 'RELEASED'] },
  },
  currentStock: {
    type: 'gauge',
    name: 'current_stock',
    help: 'Available stock of the twenty products with the least stock above their threshold',
    labels: { product: 'twenty products' },
  },
  lowStockThreshold: {
    type: 'gauge',
    name: 'low_stock_threshold',
    help: 'Stock at which a product of current_stock is low',
    labels: { product: 'twenty products' },
  },
} as const satisfies MetricDeclarations;
