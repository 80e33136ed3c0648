import { z } from 'zod';
import { baseConfig } from '../shared/config.ts';

const milliseconds = z.coerce.number().int().min(100);

export const config = baseConfig.extend({
  /** How often the durable job looks after an order that is not final; not before the broker has delivered again. */
  ORDER_RECHECK_MS: milliseconds.default(20_000),
  /** An order that is not paid by then expires. */
  ORDER_EXPIRE_MS: milliseconds.default(15 * 60_000),
  /** New orders are refused while they would wait for longer than this until they are paid or not. */
  ORDER_MAX_LAG_MS: milliseconds.default(5_000),
});
