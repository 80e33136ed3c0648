import type { OrderStatus } from './state-machine.ts';
import { UNPAID_STATUSES } from './statuses.ts';

/** The watchdog leaves no order alone for longer. */
export const MAX_CHECK_DELAY_MS = 5 * 60_000;
const MIN_CHECK_DELAY_MS = 1_000;

/**
 * How long the watchdog leaves an unfinished order alone, in milliseconds. The delay grows, so that checks do not feed a
 * backlog. It ends at the payment deadline of an unpaid order.
 *
 * @param sinceMs the time since the order's last event, by clocks that may be wrong, and the time that the order has been
 *   watched, which bounds the effect of a wrong clock
 */
export function nextCheckDelay(
  status: OrderStatus,
  sinceMs: { lastEvent: number; watched: number },
  settings: { watchdogIntervalMs: number; paymentDeadlineMs: number },
): number {
  const idleMs = Math.min(sinceMs.lastEvent, sinceMs.watched);
  const growingMs = Math.min(Math.max(settings.watchdogIntervalMs, 2 * idleMs), MAX_CHECK_DELAY_MS);
  if (!UNPAID_STATUSES.has(status)) return growingMs;
  return Math.max(Math.min(growingMs, settings.paymentDeadlineMs - sinceMs.watched), MIN_CHECK_DELAY_MS);
}
