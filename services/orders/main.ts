import { runService } from '../shared/runtime/run-service.ts';
import { createApp } from './app.ts';
import { config } from './config.ts';

await runService(process, 'orders', config, (deps, settings) =>
  createApp({
    ...deps,
    watchdogIntervalMs: settings.ORDER_RECHECK_MS,
    paymentDeadlineMs: settings.ORDER_EXPIRE_MS,
    maxQueueWaitMs: settings.ORDER_MAX_LAG_MS,
    now: () => new Date(),
  }),
);
