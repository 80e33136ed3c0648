import { z } from 'zod';
import { baseConfig } from '../shared/config.ts';

export const config = baseConfig.extend({
  /** The one service that is meant to be reached from outside. */
  APP_HOST: z.string().default('0.0.0.0'),
});
