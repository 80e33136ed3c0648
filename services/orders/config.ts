import { baseConfig } from '../shared/runtime/config.ts';
import { integer, live } from '../shared/runtime/settings.ts';
import { MAX_CHECK_DELAY_MS } from './domain/check-delay.ts';

export const config = baseConfig
  .extend({
    ORDER_WATCHDOG_INTERVAL_MS: integer({ min: 100, max: MAX_CHECK_DELAY_MS, example: 20_000 })
      .default(20_000)
      .describe(
        "The first check of an order's watchdog comes after this time, and later ones at longer intervals. It is longer than the broker takes to redeliver.",
      ),
    ORDER_PAYMENT_DEADLINE_MS: integer({ min: 100, max: 2_592_000_000, example: 900_000 })
      .default(900_000)
      .describe('An order that is not paid after this time expires.'),
    ORDER_MAX_QUEUE_WAIT_MS: live(
      integer({ min: 100, max: 3_600_000, example: 5_000 }).default(5_000),
    ).describe('New orders are shed while they would wait longer than this until their payment is decided.'),
  })
  // The watchdog expires an order, and its first check comes after ORDER_WATCHDOG_INTERVAL_MS.
  .refine(
    ({ ORDER_WATCHDOG_INTERVAL_MS: intervalMs, ORDER_PAYMENT_DEADLINE_MS: deadlineMs }) =>
      !(intervalMs > deadlineMs),
    {
      path: ['ORDER_WATCHDOG_INTERVAL_MS'],
      error: 'must not be greater than ORDER_PAYMENT_DEADLINE_MS, or orders would expire too late',
      params: { example: '1000' },
      when: () => true,
    },
  );
