import { runService } from '../shared/runtime/run-service.ts';
import { createApp } from './app.ts';
import { config } from './config.ts';

await runService(process, 'orders', config, (deps, settings, current) =>
  createApp({
    ...deps,
    watchdogIntervalMs: settings.ORDER_WATCHDOG_INTERVAL_MS,
    paymentDeadlineMs: settings.ORDER_PAYMENT_DEADLINE_MS,
    maxQueueWaitMs: () => current().ORDER_MAX_QUEUE_WAIT_MS,
    now: () => new Date(),
  }),
);
