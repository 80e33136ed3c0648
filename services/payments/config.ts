import { baseConfig } from '../shared/runtime/config.ts';
import { integer } from '../shared/runtime/settings.ts';

export const config = baseConfig.extend({
  PAYMENT_TIMEOUT_MS: integer({ min: 1, max: 60_000, example: 5_000 })
    .default(5_000)
    .describe('The limit of one call to the payment provider.'),
  PAYMENT_MAX_ATTEMPTS: integer({ min: 1, max: 1_000, example: 4 })
    .default(4)
    .describe('After this number of calls without an answer the payment is reversed and fails.'),
  SIMULATED_SLOW_CARD_MS: integer({ min: 0, max: 600_000, example: 8_000 })
    .default(8_000)
    .describe('The simulated provider answers for `tok_slow` after this time.'),
});
