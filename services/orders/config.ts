import { baseConfig } from '../shared/config.ts';
import { integer } from '../shared/settings.ts';

export const config = baseConfig
  .extend({
    /**
     * How often the durable job looks after an order that is not final; not before the broker has delivered again. Five
     * minutes at most: `pauseBeforeNextLook` (saga.ts) waits for no longer.
     */
    ORDER_RECHECK_MS: integer({ min: 100, max: 300_000, example: 20_000 }).default(20_000),
    /** An order that is not paid by then expires. */
    ORDER_EXPIRE_MS: integer({ min: 100, max: 2_592_000_000, example: 900_000 }).default(900_000),
    /** New orders are refused while they would wait for longer than this until they are paid or not. */
    ORDER_MAX_LAG_MS: integer({ min: 100, max: 3_600_000, example: 5_000 }).default(5_000),
  })
  // The job is what expires an order, and its first look comes after ORDER_RECHECK_MS.
  .refine(({ ORDER_RECHECK_MS: recheckMs, ORDER_EXPIRE_MS: expireMs }) => !(recheckMs > expireMs), {
    path: ['ORDER_RECHECK_MS'],
    error: 'must not be greater than ORDER_EXPIRE_MS, or orders would expire too late',
    params: { example: '1000' },
    when: () => true,
  });
