import type { MetricDeclarations } from '../shared/telemetry/metrics.ts';
import { FINAL_STATUSES, orderEvents, orderStatus } from './contract.ts';
import { compensationTriggers } from './domain/statuses.ts';

/** The metrics of `orders`. Durations are differences of two clocks, so they are right up to the difference of the clocks. */
export const METRICS = {
  created: {
    type: 'counter',
    name: 'orders_created_total',
    help: 'Requests to place an order, without repeated ones',
    labels: { status: ['success', 'failed'] },
  },
  transitions: {
    type: 'counter',
    name: 'order_transitions_total',
    help: 'Events that triggers appended to orders',
    labels: { event: orderEvents.types.filter((type) => type !== 'order.created') },
  },
  decisionDuration: {
    type: 'histogram',
    name: 'order_decision_duration_seconds',
    help: 'Time from acceptance until payment or refusal',
    labels: { status: ['PAID', 'REJECTED', 'PAYMENT_FAILED', 'EXPIRED'] },
    // 2 is the bound of the objective.
    buckets: [0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900],
  },
  sagaDuration: {
    type: 'histogram',
    name: 'order_saga_duration_seconds',
    help: 'Time from acceptance until the final status',
    labels: { status: [...FINAL_STATUSES] },
    buckets: [0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3_600, 86_400, 604_800],
  },
  statusDuration: {
    type: 'histogram',
    name: 'order_status_duration_seconds',
    help: 'Time that orders spent in a status',
    labels: { status: orderStatus.options.filter((status) => !FINAL_STATUSES.has(status)) },
    buckets: [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 3_600, 86_400],
  },
  compensations: {
    type: 'counter',
    name: 'order_compensations_total',
    help: 'Orders whose effects are undone, by trigger',
    labels: { reason: compensationTriggers() },
  },
  admission: {
    type: 'counter',
    name: 'admission_control_orders_total',
    help: 'New orders at admission control',
    labels: { result: ['accepted', 'shed'] },
  },
  queued: {
    type: 'gauge',
    name: 'admission_control_queued_orders',
    help: 'Accepted orders that wait for their decision (estimate)',
    labels: {},
  },
  watchdog: {
    type: 'counter',
    name: 'order_watchdog_actions_total',
    help: 'Actions of order watchdogs',
    labels: { action: ['republished', 'expired', 'finished'] },
  },
} as const satisfies MetricDeclarations;
