import type { MetricDeclarations } from '../shared/telemetry/metrics.ts';
import { FINAL_STATUSES, orderEvents, orderStatus } from './contract.ts';
import { compensationTriggers } from './domain/statuses.ts';

/** The metrics of `orders`. Durations are differences of two clocks, so they are right up to the difference of the clocks. */
export const METRICS = {
  created: {
    type: 'counter',
    name: 'orders_created_total',
    help: 'Requests to place an order, by result. Repeated requests are not counted',
    labels: { status: ['success', 'failed'] },
  },
  transitions: {
    type: 'counter',
    name: 'order_transitions_total',
    help: 'Events appended to orders, by type',
    labels: { event: orderEvents.types },
  },
  decisionDuration: {
    type: 'histogram',
    name: 'order_decision_duration_seconds',
    help: 'Time from the acceptance of an order until it is paid or refused, by status',
    labels: { status: ['PAID', 'REJECTED', 'PAYMENT_FAILED', 'EXPIRED'] },
    // 2 is the bound of the objective.
    buckets: [0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900],
  },
  sagaDuration: {
    type: 'histogram',
    name: 'order_saga_duration_seconds',
    help: 'Time from the acceptance of an order until its final status, by final status',
    labels: { status: [...FINAL_STATUSES] },
    buckets: [0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3_600, 86_400, 604_800],
  },
  statusDuration: {
    type: 'histogram',
    name: 'order_status_duration_seconds',
    help: 'Time that orders were in a status, by the status that they left',
    labels: { status: orderStatus.options.filter((status) => !FINAL_STATUSES.has(status)) },
    buckets: [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 3_600, 86_400],
  },
  compensations: {
    type: 'counter',
    name: 'order_compensations_total',
    help: 'Orders whose reservation or payment was undone, by the trigger',
    labels: { reason: compensationTriggers() },
  },
  admission: {
    type: 'counter',
    name: 'admission_control_orders_total',
    help: 'New orders at admission control: accepted, or shed because accepted orders wait too long',
    labels: { result: ['accepted', 'shed'] },
  },
  queued: {
    type: 'gauge',
    name: 'admission_control_queued_orders',
    help: 'Orders that this replica accepted in the last minute and that wait to be paid or refused (estimate)',
    labels: {},
  },
  watchdog: {
    type: 'counter',
    name: 'order_watchdog_actions_total',
    help: 'What watchdogs did: postponed (order not written yet), abandoned (never written), republished, expired, finished',
    labels: { action: ['postponed', 'abandoned', 'republished', 'expired', 'finished'] },
  },
} as const satisfies MetricDeclarations;
