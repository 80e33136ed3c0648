import { FINAL_STATUSES, orderStatus } from '../orders/contract.ts';
import type { MetricDeclarations } from '../shared/telemetry/metrics.ts';
import { EVENT_TYPES, UNKNOWN_TYPE } from './domain/dead-letter.ts';

const OPEN_STATUSES = orderStatus.options.filter((status) => !FINAL_STATUSES.has(status));

/** The metrics of `history`. Gauges of open orders come from the read model, which all replicas share: take their maximum. */
export const METRICS = {
  deadLetters: {
    type: 'counter',
    name: 'dead_letters_total',
    help: 'Dead letters stored',
    labels: { type: [...EVENT_TYPES, UNKNOWN_TYPE] },
  },
  openOrders: {
    type: 'gauge',
    name: 'open_orders',
    help: 'Orders that are not final',
    labels: { status: OPEN_STATUSES },
  },
  stuckOrders: {
    type: 'gauge',
    name: 'stuck_orders',
    help: 'Open orders without progress for two minutes',
    labels: { status: OPEN_STATUSES },
  },
  oldestOpenOrderAge: {
    type: 'gauge',
    name: 'oldest_open_order_age_seconds',
    help: 'Time since the acceptance of the oldest open order',
    labels: {},
  },
  replayed: {
    type: 'counter',
    name: 'history_rebuild_orders_total',
    help: 'Orders replayed by rebuilds',
    labels: {},
  },
} as const satisfies MetricDeclarations;
