import { z } from 'zod';
import { baseConfig } from '../shared/config.ts';

export const config = baseConfig.extend({
  /** How long one call to the payment provider may take. Milliseconds. */
  PAYMENT_TIMEOUT_MS: z.coerce.number().int().min(1).max(60_000).default(5_000),
  /** After so many calls without an answer the payment is reversed and fails. */
  PAYMENT_MAX_ATTEMPTS: z.coerce.number().int().min(1).default(4),
  /** How long the simulated provider thinks about `tok_slow`. Milliseconds. */
  SLOW_CARD_MS: z.coerce.number().int().min(0).default(8_000),
});
