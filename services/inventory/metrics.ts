import type { MetricDeclarations } from '../shared/telemetry/metrics.ts';

/** The most products that `current_stock` has, by the stock above their threshold. Each product is a time series. */
export const MAX_MEASURED_PRODUCTS = 20;

/** The metrics of `inventory`. All replicas have the same stock: take the minimum. */
export const METRICS = {
  reservations: {
    type: 'counter',
    name: 'inventory_reservations_total',
    help: 'Reservations that reached a status',
    // No product: a reservation has several, and a catalogue has no bound.
    labels: { status: ['RESERVED', 'REJECTED', 'SOLD', 'RELEASED'] },
  },
  currentStock: {
    type: 'gauge',
    name: 'current_stock',
    help: 'Available stock of the products that run out first',
    labels: { product: 'twenty products' },
  },
  lowStockThreshold: {
    type: 'gauge',
    name: 'low_stock_threshold',
    help: 'Stock at which such a product is low',
    labels: { product: 'twenty products' },
  },
} as const satisfies MetricDeclarations;
