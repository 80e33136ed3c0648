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
      help: 'Users registered through the API',
      registers,
    }),
    logins: new Counter({ name: 'users_logins_total', help: 'Sessions started', registers }),
    refreshes: new Counter({
      name: 'users_tokens_refreshed_total',
      help: 'Refresh tokens exchanged for new tokens',
      registers,
    }),
    sessionsEnded: new Counter({
      name: 'users_sessions_ended_total',
      help: 'Sessions ended, by reason. The reasons password and deleted count once per user',
      labelNames: ['reason'],
      registers,
    }),
  };
}
