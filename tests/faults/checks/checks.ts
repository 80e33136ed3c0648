import { setTimeout as delay } from 'node:timers/promises';
import type { Violation } from '../journal.ts';
import type { Check, Outcome, Scene } from './check.ts';
import { noDeadLetters } from './dead-letters.ts';
import { keysAnswerAlike } from './keys.ts';
import { mailsAreSent } from './mails.ts';
import { moneyIsRight } from './money.ts';
import { ordersEnd } from './orders.ts';
import { readModelIsTrue } from './read-model.ts';
import { stockAddsUp } from './stock.ts';

/** Every promise. The first one finds the orders that the others look at. */
export const CHECKS: readonly Check[] = [
  ordersEnd,
  stockAddsUp,
  moneyIsRight,
  readModelIsTrue,
  mailsAreSent,
  keysAnswerAlike,
  noDeadLetters,
];

export interface Checked {
  name: string;
  promise: string;
  verified: number;
  violations: string[];
}

/** Between two looks at what does not hold yet. Milliseconds. */
const LOOK_EVERY = 2_000;

/**
 * Waits until every promise holds, or the deadline has passed: what does not hold then is violated.
 *
 * @returns with what the load itself has found
 */
export async function verifyAll(
  scene: Scene,
  { deadlineMs, signal }: { deadlineMs: number; signal: AbortSignal },
): Promise<Checked[]> {
  const deadline = performance.now() + deadlineMs;
  const checked: Checked[] = [];
  for (const check of CHECKS) checked.push({ ...named(check), ...(await untilItHolds(check)) });
  return checked.map((one) => ({ ...one, violations: [...one.violations, ...seenBy(one.name)] }));

  async function untilItHolds(check: Check): Promise<Outcome> {
    for (;;) {
      signal.throwIfAborted();
      const outcome = await check.verify(scene).catch((error: unknown): Outcome => ({
        verified: 0,
        violations: [`could not be checked: ${String(error)}`],
      }));
      if (outcome.violations.length === 0 || performance.now() > deadline) return outcome;
      await delay(LOOK_EVERY, undefined, { signal });
    }
  }

  function seenBy(name: string): string[] {
    return scene.journal.violations.filter(({ check }: Violation) => check === name).map(({ what }) => what);
  }
}

const named = ({ name, promise }: Check) => ({ name, promise });
