import { Counter, type Registry } from 'prom-client';

export interface Counters {
  registrations: Counter;
  logins: Counter;
  refreshes: Counter;
  sessionsEnded: Counter<'reason'>;
}

export function createCounters(metrics: Registry): Counters {
  const registers = [metrics];
  return {
    registrations: new Counter({
      name: 'users_registered_total',
      help: 'Accounts that were made through the API',
      registers,
    }),
    logins: new Counter({ name: 'users_logins_total', help: 'Sessions that were begun', registers }),
    refreshes: new Counter({
      name: 'users_tokens_refreshed_total',
      help: 'Refresh tokens that were used up for new tokens',
      registers,
    }),
    sessionsEnded: new Counter({
      name: 'users_sessions_ended_total',
      help: 'Ends of sessions: logout, reuse, password, deleted. The last two count once for all that they end',
      labelNames: ['reason'],
      registers,
    }),
  };
}
