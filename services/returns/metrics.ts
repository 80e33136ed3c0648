import type { MetricDeclarations } from '../shared/telemetry/metrics.ts';
import { returnStatus } from './contract.ts';
import { STEPS } from './workflow/return-workflow.ts';

/** The metrics of `returns`. */
export const METRICS = {
  transitions: {
    type: 'counter',
    name: 'return_transitions_total',
    help: 'Statuses that returns have reached',
    labels: { status: returnStatus.options },
  },
  stepFailures: {
    type: 'counter',
    name: 'return_step_failures_total',
    help: 'Failed steps of workflows, each of which is repeated',
    labels: { step: STEPS },
  },
  stepDuration: {
    type: 'histogram',
    name: 'return_step_duration_seconds',
    help: 'Duration of the steps of workflows',
    labels: { step: STEPS },
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 0.5, 1, 2, 5, 10],
  },
  resumed: {
    type: 'counter',
    name: 'return_workflows_resumed_total',
    help: 'Workflows that the sweep has woken or started again',
    labels: { action: ['woken', 'started', 'restarted'] },
  },
  due: {
    type: 'gauge',
    name: 'return_workflows_due',
    help: 'Returns whose workflow was due at the last sweep',
    labels: {},
  },
} as const satisfies MetricDeclarations;
