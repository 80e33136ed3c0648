import { z } from 'zod';
import { baseConfig } from '../shared/config.ts';

export const config = baseConfig.extend({
  /** Path of a catalogue to start with instead of `catalogue.json`. */
  SEED_FILE: z.string().optional(),
});
