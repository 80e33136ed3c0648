import { baseConfig } from '../shared/config.ts';
import { integer } from '../shared/settings.ts';

/** Thirty days. Milliseconds. */
const LONGEST_MS = 2_592_000_000;
const delayMs = integer({ min: 0, max: LONGEST_MS, example: 2_000 }).default(2_000);

export const config = baseConfig.extend({
  /** How long the warehouse packs. Milliseconds. */
  DISPATCH_AFTER_MS: delayMs,
  /** How long the parcel travels. Milliseconds. */
  DELIVER_AFTER_MS: delayMs,
});
