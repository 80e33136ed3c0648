import { runService } from '../shared/runtime/run-service.ts';
import { createApp } from './app.ts';
import { config } from './config.ts';

await runService(process, 'fulfilment', config, (deps, settings) =>
  createApp({
    ...deps,
    delays: {
      dispatchAfterMs: settings.SIMULATED_DISPATCH_DELAY_MS,
      deliverAfterMs: settings.SIMULATED_DELIVERY_DELAY_MS,
    },
    now: () => new Date(),
  }),
);
