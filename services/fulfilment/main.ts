import { runService } from '../shared/runtime/run-service.ts';
import { createApp } from './app.ts';
import { config } from './config.ts';

await runService(process, 'fulfilment', config, (deps, _, current) =>
  createApp({
    ...deps,
    delays: () => ({
      dispatchAfterMs: current().SIMULATED_DISPATCH_DELAY_MS,
      deliverAfterMs: current().SIMULATED_DELIVERY_DELAY_MS,
    }),
    now: () => new Date(),
  }),
);
