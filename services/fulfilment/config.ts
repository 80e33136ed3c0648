import { z } from 'zod';
import { baseConfig } from '../shared/config.ts';

export const config = baseConfig.extend({
  /** How long the warehouse packs. Milliseconds. */
  DISPATCH_AFTER_MS: z.coerce.number().int().min(0).default(2_000),
  /** How long the parcel travels. Milliseconds. */
  DELIVER_AFTER_MS: z.coerce.number().int().min(0).default(2_000),
});
