import { runService } from '../shared/runtime/run-service.ts';
import { createApp } from './app.ts';
import { config } from './config.ts';
import { createSimulatedProvider } from './simulated-provider.ts';

await runService(process, 'payments', config, (deps, settings) => {
  const now = () => new Date();
  const { state } = deps.sidecar;
  return createApp({
    ...deps,
    provider: createSimulatedProvider({ state, now, slowMs: settings.SIMULATED_SLOW_CARD_MS }),
    now,
    timeoutMs: settings.PAYMENT_TIMEOUT_MS,
    maxAttempts: settings.PAYMENT_MAX_ATTEMPTS,
  });
});
