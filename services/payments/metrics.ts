import type { MetricDeclarations } from '../shared/telemetry/metrics.ts';

/** The metrics of `payments`. */
export const METRICS = {
  processed: {
    type: 'counter',
    name: 'payments_processed_total',
    help: 'Payments that reached an outcome',
    // REFUSED: the order ended before its payment was requested.
    labels: { status: ['CAPTURED', 'FAILED', 'REFUNDED', 'REFUSED'] },
  },
  providerDuration: {
    type: 'histogram',
    name: 'payment_provider_duration_seconds',
    help: 'Duration of calls to the payment provider',
    // unanswered: a timeout, or no connection.
    labels: { step: ['authorize', 'capture'], outcome: ['approved', 'declined', 'unanswered'] },
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10],
  },
} as const satisfies MetricDeclarations;
