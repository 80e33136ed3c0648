import { baseConfig } from '../shared/runtime/config.ts';
import { integer, live } from '../shared/runtime/settings.ts';

/** Thirty days. */
const MAX_DELAY_MS = 2_592_000_000;
const delayMs = live(integer({ min: 0, max: MAX_DELAY_MS, example: 2_000 }).default(2_000));

export const config = baseConfig.extend({
  SIMULATED_DISPATCH_DELAY_MS: delayMs.describe('A parcel is dispatched after this time.'),
  SIMULATED_DELIVERY_DELAY_MS: delayMs.describe('A dispatched parcel is delivered after this time.'),
});
