import { baseConfig } from '../shared/config.ts';
import { integer } from '../shared/settings.ts';

export const config = baseConfig.extend({
  /** How long one call to the payment provider may take. Milliseconds. */
  PAYMENT_TIMEOUT_MS: integer({ min: 1, max: 60_000, example: 5_000 }).default(5_000),
  /** After so many calls without an answer the payment is reversed and fails. */
  PAYMENT_MAX_ATTEMPTS: integer({ min: 1, max: 1_000, example: 4 }).default(4),
  /** How long the simulated provider thinks about `tok_slow`. Milliseconds. */
  SLOW_CARD_MS: integer({ min: 0, max: 600_000, example: 8_000 }).default(8_000),
});
