import { createCounter, type MetricDeclarations, type Metrics } from '../shared/telemetry/metrics.ts';

/** The metrics of `users`. */
export const METRICS = {
  registrations: {
    type: 'counter',
    name: 'users_registered_total',
    help: 'Users registered through the API',
    labels: {},
  },
  logins: { type: 'counter', name: 'users_logins_total', help: 'Sessions started', labels: {} },
  refreshes: {
    type: 'counter',
    name: 'users_tokens_refreshed_total',
    help: 'Refresh tokens exchanged for new tokens',
    labels: {},
  },
  sessionsEnded: {
    type: 'counter',
    name: 'users_sessions_ended_total',
    help: 'Sessions ended',
    // password and deleted count once per user.
    labels: { reason: ['logout', 'reuse', 'password', 'deleted'] },
  },
} as const satisfies MetricDeclarations;

export type Counters = ReturnType<typeof createCounters>;

export function createCounters(metrics: Metrics) {
  return {
    registrations: createCounter(metrics, METRICS.registrations),
    logins: createCounter(metrics, METRICS.logins),
    refreshes: createCounter(metrics, METRICS.refreshes),
    sessionsEnded: createCounter(metrics, METRICS.sessionsEnded),
  };
}
