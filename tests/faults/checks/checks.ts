import { setTimeout as delay } from 'node:timers/promises';
import type { Violation } from '../journal.ts';
import type { Check, CheckOutcome, CheckContext } from './check.ts';
import { noDeadLetters } from './dead-letters.ts';
import { keysReturnSameOrder } from './keys.ts';
import { mailsAreSent } from './mails.ts';
import { moneyIsRight } from './money.ts';
import { ordersEnd } from './orders.ts';
import { readModelMatchesStreams } from './read-model.ts';
import { returnsEnd } from './returns.ts';
import { stockAddsUp } from './stock.ts';

/** All checks. The first two load the returns and the orders for the others. */
export const CHECKS: readonly Check[] = [
  returnsEnd,
  ordersEnd,
  stockAddsUp,
  moneyIsRight,
  readModelMatchesStreams,
  mailsAreSent,
  keysReturnSameOrder,
  noDeadLetters,
];

export interface CheckResult {
  name: string;
  promise: string;
  verified: number;
  violations: string[];
}

const POLL_INTERVAL_MS = 2_000;

/**
 * Repeats each check until its promise holds or the deadline has passed.
 *
 * @returns the results, with the violations that the load itself has found
 */
export async function runChecks(
  context: CheckContext,
  { deadlineMs, signal }: { deadlineMs: number; signal: AbortSignal },
): Promise<CheckResult[]> {
  const deadline = performance.now() + deadlineMs;
  const results: CheckResult[] = [];
  for (const check of CHECKS)
    results.push({ ...nameAndPromise(check), ...(await verifyUntilItHolds(check)) });
  return results.map((result) => ({
    ...result,
    violations: [...result.violations, ...violationsDuringLoad(result.name)],
  }));

  async function verifyUntilItHolds(check: Check): Promise<CheckOutcome> {
    for (;;) {
      signal.throwIfAborted();
      const outcome = await check.verify(context).catch((error: unknown): CheckOutcome => ({
        verified: 0,
        violations: [`could not be checked: ${String(error)}`],
      }));
      if (outcome.violations.length === 0 || performance.now() > deadline) return outcome;
      await delay(POLL_INTERVAL_MS, undefined, { signal });
    }
  }

  function violationsDuringLoad(name: string): string[] {
    return context.journal.violations
      .filter(({ check }: Violation) => check === name)
      .map(({ description }) => description);
  }
}

const nameAndPromise = ({ name, promise }: Check) => ({ name, promise });
