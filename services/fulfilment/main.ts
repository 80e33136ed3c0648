import { runService } from '../shared/runtime/run-service.ts';
import { createApp } from './app.ts';
import { config } from './config.ts';

await runService(process, 'fulfilment', config, (deps, settings) =>
  createApp({
    ...deps,
    delays: { dispatchAfterMs: settings.DISPATCH_AFTER_MS, deliverAfterMs: settings.DELIVER_AFTER_MS },
    now: () => new Date(),
  }),
);
